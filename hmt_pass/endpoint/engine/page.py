"""The lines of a picture as the lines of one card: normalised, and put in their place."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from hmt_pass.endpoint.engine import card, machine_readable
from hmt_pass.endpoint.engine.alphabets import Alphabets
from hmt_pass.endpoint.engine.card import Box, Kind
from hmt_pass.endpoint.engine.ctc import decode
from hmt_pass.endpoint.engine.geometry import Floats, project
from hmt_pass.endpoint.engine.layout import Transform
from hmt_pass.endpoint.engine.machine_readable import MachineReadable
from hmt_pass.endpoint.engine.text import Line

ROW_REACH = 21.0
"""Card units by which the middle of a line may be off the row that it is printed on: half a row."""

_SAME = 0.7
_MIN_TITLE_LENGTH = 5
_MACHINE_READABLE_LENGTHS = range(24, 37)
_OUTSIDE = 15.0  # card units by which the middle of one of the card's lines may seem to lie beyond its edge
_ONE_CHARACTER = str.maketrans("•・‧∙，、；《〈«≤く", "····,,,<<<<<")


def normalise(text: str) -> str:
    """The text without spaces and with one form of each sign."""
    return unicodedata.normalize("NFKC", text).replace(" ", "").translate(_ONE_CHARACTER)


def likeness(one: str, other: str) -> float:
    """How alike two texts are, 0 to 1."""
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def title_kind(text: str) -> Kind | None:
    """The permit that a title names, None when the text is no title."""
    if len(text) < _MIN_TITLE_LENGTH:
        return None
    best = max(Kind, key=lambda kind: likeness(text, kind.title))
    return best if likeness(text, best.title) >= _SAME else None


def code_of(line: Line, alphabets: Alphabets) -> MachineReadable | None:
    """What the line says as a machine-readable line; None when it is none."""
    if len(line.text) not in _MACHINE_READABLE_LENGTHS:
        return None
    return machine_readable.parse(decode(line.probabilities, alphabets.codes).text)


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the card: its normalised text, and its two ends and its height there, in card units."""

    text: str
    line: Line
    left: float
    right: float
    middle: float
    code: MachineReadable | None

    def lies_in(self, box: Box, margin: float = ROW_REACH) -> bool:
        """Whether the middle of the line lies in that box of the card, or no farther outside than `margin`."""
        return box.holds((self.left + self.right) / 2, self.middle, margin)

    def is_on_row(self, box: Box) -> bool:
        """Whether the line is on the row of that box and not on the next one."""
        return abs(self.middle - box.middle) <= ROW_REACH

    def covers(self, box: Box) -> bool:
        """Whether the line is on the row of that box, and reaches over its middle."""
        return self.is_on_row(box) and self.left < (box.left + box.right) / 2 < self.right

    def steps_beyond(self, x: float) -> Floats:
        """The part of the line's probabilities that lies to the right of `x`, in card units."""
        share = (x - self.left) / max(self.right - self.left, 1.0)
        return self.line.probabilities[max(0, round(share * len(self.line.probabilities))) :]


@dataclass(frozen=True, slots=True)
class Page:
    """The lines that were read of one card, and the map from the picture to it."""

    items: tuple[Item, ...]
    transform: Transform

    @classmethod
    def of(cls, lines: Iterable[Line], transform: Transform, alphabets: Alphabets) -> Self:
        """The page of these lines; what lies beside the card is left out."""
        placed = (_place(line, transform, alphabets) for line in lines)
        return cls(tuple(item for item in placed if item.lies_in(card.OUTLINE, _OUTSIDE)), transform)

    def with_lines(self, lines: Iterable[Line], alphabets: Alphabets) -> "Page":
        """The page with more lines of the same picture."""
        return Page(self.items + Page.of(lines, self.transform, alphabets).items, self.transform)

    @property
    def machine_readable(self) -> MachineReadable | None:
        """The best reading of the machine-readable line."""
        return max((item.code for item in self.items if item.code), key=lambda code: code.strength, default=None)

    @property
    def kind(self) -> Kind | None:
        """The permit that the title or the machine-readable line names."""
        titled = next((kind for kind in (title_kind(item.text) for item in self.items) if kind), None)
        return titled or (self.machine_readable.kind if self.machine_readable else None)

    def row(self, box: Box) -> list[Item]:
        """The lines that are printed in a box, and what they say together where a line was found in parts."""
        row = (item for item in self.items if item.is_on_row(box) and item.lies_in(box) and not item.code)
        items = sorted(row, key=lambda item: item.left)
        parts = items[:1]
        for item in items[1:]:
            if item.left >= parts[-1].right - (item.right - item.left) / 4:
                parts.append(item)
        return [*items, _joined(parts)] if len(parts) > 1 else items


def _place(line: Line, transform: Transform, alphabets: Alphabets) -> Item:
    corners = project(transform, line.corners)
    left, right = (float(corners[pair, 0].mean()) for pair in ([0, 3], [1, 2]))
    return Item(normalise(line.text), line, left, right, float(corners[:, 1].mean()), code_of(line, alphabets))


def _joined(parts: Sequence[Item]) -> Item:
    lines = [part.line for part in parts]
    first, last = lines[0].corners, lines[-1].corners
    probabilities = np.concatenate([line.probabilities for line in lines])
    line = Line(
        corners=np.array([first[0], last[1], last[2], first[3]], np.float32),
        text="".join(line.text for line in lines),
        confidence=min(line.confidence for line in lines),
        probabilities=probabilities,
    )
    middle = float(np.mean([part.middle for part in parts]))
    return Item("".join(part.text for part in parts), line, parts[0].left, parts[-1].right, middle, None)
