"""Lines that another OCR found, in the form in which our engine takes its own: so that its field parser reads them.

The parser weighs probabilities for every character of every step. Other engines give none, so each character gets a
step of its own, evenly spaced over the line, with the line's score for it and the rest for `blank`.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt

from hmt_pass.endpoint.engine import pinyin
from hmt_pass.endpoint.engine.text import Line

Corners = npt.NDArray[np.float32]

_SIGNS = "·，、。：；（）《》〈〉年月日至往来港澳台湾通行证出生期性别有效限签发机关地点公安部管理局中华人民共和国入境"
_MORE_LIKELY_THAN_NOT = 0.51  # a character that is there must not be outweighed by the blank
_TALL = 1.5
_TITLE = "通行证"
_AUTHORITY_END = "管理局"


@dataclass(frozen=True, slots=True)
class Found:
    """A line that another OCR found: corners clockwise, in pixels; score 0 to 1."""

    corners: Corners
    text: str
    score: float


class ForeignLines:
    """What the engine's reader takes for its text reader. It finds the lines that it was given, once a picture.

    A closer look finds nothing: the other engine's pipeline is judged as it is, not driven by ours.
    """

    def __init__(self) -> None:
        characters = sorted(pinyin.characters() | set(string.printable) | set(_SIGNS))
        known = {character: index for index, character in enumerate(characters, start=1)}
        self.recognizer = SimpleNamespace(known=known)
        self._fresh: list[Line] = []
        self._lines: dict[bytes, Line] = {}

    def give(self, found: Sequence[Found]) -> None:
        """The lines of the next picture."""
        apart = [part for one in along_the_text(found) for part in _without_authority(one)]
        self._fresh = [self._line(one) for one in apart]
        self._lines = {line.corners.tobytes(): line for line in self._fresh}

    def find(self, _picture: object, _long_side_px: int) -> list[Corners]:
        """Where the lines are; nothing when asked again."""
        fresh, self._fresh = self._fresh, []
        return [line.corners for line in fresh]

    def find_upright(self, _picture: object) -> list[Corners]:
        """Nothing."""
        return []

    def read(self, _picture: object, corners: Corners) -> Line:
        """The line that was given with these corners, an empty one for others."""
        return self._lines.get(corners.tobytes()) or self._line(Found(corners, "", 0.0))

    def _line(self, found: Found) -> Line:
        known = self.recognizer.known
        spelled = [known[character] for character in found.text if character in known]
        probabilities = np.zeros((2 * len(spelled) + 1, len(known) + 1), np.float32)
        probabilities[:, 0] = 1
        likely = max(found.score, _MORE_LIKELY_THAN_NOT)
        for place, index in enumerate(spelled):
            probabilities[2 * place + 1, [0, index]] = 1 - likely, likely
        return Line(found.corners, found.text, found.score, probabilities)


def along_the_text(found: Sequence[Found]) -> list[Found]:
    """The lines begun at the top left of their text: the title tells which way a card is turned."""
    turned = [_from(one, 1) if _is_tall(one.corners) else one for one in found]
    title = next((one for one in turned if _TITLE in one.text), None)
    if title is None or len(turned) == 1:
        return turned
    below = np.mean([one.corners.mean(axis=0) for one in turned], axis=0) - title.corners.mean(axis=0)
    down = title.corners[3] - title.corners[0]
    return [_from(one, 2) for one in turned] if below @ down < 0 else turned


def _is_tall(corners: Corners) -> bool:
    return bool(np.linalg.norm(corners[3] - corners[0]) > _TALL * np.linalg.norm(corners[1] - corners[0]))


def _from(found: Found, quarters: int) -> Found:
    """The same line, its corners begun `quarters` later."""
    return Found(np.ascontiguousarray(np.roll(found.corners, -quarters, axis=0)), found.text, found.score)


def _without_authority(found: Found) -> list[Found]:
    """The line, cut where the place of issue is joined to the authority before it.

    Our parser cuts there by the place of each step in the line. Only the text knows it here.
    """
    before, end, after = found.text.partition(_AUTHORITY_END)
    if not (end and after):
        return [found]
    share = len(before + end) / len(found.text)
    top_left, top_right, bottom_right, bottom_left = found.corners
    top, bottom = top_left + (top_right - top_left) * share, bottom_left + (bottom_right - bottom_left) * share
    return [
        Found(np.stack([top_left, top, bottom, bottom_left]), before + end, found.score),
        Found(np.stack([top, top_right, bottom_right, bottom]), after, found.score),
    ]
