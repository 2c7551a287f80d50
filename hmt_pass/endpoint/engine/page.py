"""The lines of a picture as the lines of a card: normalised, sorted by what they can be, and put in their place."""

import difflib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from hmt_pass.endpoint.engine import card, dates, layout, machine_readable
from hmt_pass.endpoint.engine.card import Box, Kind
from hmt_pass.endpoint.engine.geometry import Floats, project
from hmt_pass.endpoint.engine.layout import Transform
from hmt_pass.endpoint.engine.machine_readable import MachineReadable
from hmt_pass.endpoint.engine.recognition import Alphabet, decode
from hmt_pass.endpoint.engine.text import Line

_SAME = 0.7
_MIN_TITLE_LENGTH = 5
_MACHINE_READABLE_LENGTHS = range(24, 37)
_ONE_CHARACTER = str.maketrans("•・‧∙，、；《〈«≤く", "····,,,<<<<<")


def normalise(text: str) -> str:
    """The text without spaces and with one form of each sign."""
    return unicodedata.normalize("NFKC", text).replace(" ", "").translate(_ONE_CHARACTER)


def likeness(one: str, other: str) -> float:
    """How alike two texts are, 0 to 1."""
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the card: its normalised text, and the middle of it in card units, None when that is not known."""

    text: str
    line: Line
    place: tuple[float, float] | None

    def lies_in(self, box: Box, margin: float = 0.0) -> bool:
        """Whether the line is known to lie in that box of the card."""
        return self.place is not None and box.holds(*self.place, margin)


@dataclass(frozen=True, slots=True)
class Page:
    """All that was read of one card, before it is cut into fields."""

    items: tuple[Item, ...]
    machine_readable: MachineReadable | None
    kind: Kind | None
    transform: Transform | None


def arrange(lines: Sequence[Line], codes: Alphabet) -> Page:
    """The page of these lines. `codes` spells the machine-readable line."""
    texts = [normalise(line.text) for line in lines]
    found = {index: parsed for index, line in enumerate(lines) if (parsed := _machine_readable(line, codes))}
    strongest = max(found, key=lambda index: found[index].strength, default=None)
    anchors = [(box, lines[index].corners) for index, box in _anchors(texts)]
    if strongest is not None:
        anchors.append((card.MACHINE_READABLE, lines[strongest].corners))
    transform = layout.locate(anchors)
    items = tuple(
        Item(text, line, _place(line.corners, transform))
        for index, (text, line) in enumerate(zip(texts, lines, strict=True))
        if index not in found
    )
    code = None if strongest is None else found[strongest]
    return Page(items, code, _kind(texts, code), transform)


def _machine_readable(line: Line, codes: Alphabet) -> MachineReadable | None:
    if len(line.text) not in _MACHINE_READABLE_LENGTHS:
        return None
    return machine_readable.parse(decode(line.probabilities, codes).text)


def _anchors(texts: Sequence[str]) -> list[tuple[int, Box]]:
    """The lines whose place on the card their text gives away, each place once."""
    found: dict[int, tuple[int, Box]] = {}
    for index, text in enumerate(texts):
        box = _printed_at(text)
        if box is not None:
            found.setdefault(id(box), (index, box))
    return list(found.values())


def _printed_at(text: str) -> Box | None:
    if title_kind(text):
        return card.TITLE
    if dates.find_span(text):
        return card.VALIDITY
    if len(text) <= 10 and len(dates.find(text)) == 1:  # noqa: PLR2004  1990.02.01 and nothing else
        return card.BIRTHDAY
    return next((box for label, box in card.LABELS.items() if len(text) == len(label) and _alike(text, label)), None)


def _alike(text: str, other: str) -> bool:
    return likeness(text, other) >= _SAME


def title_kind(text: str) -> Kind | None:
    """The permit that a title names, None when the text is no title."""
    if len(text) < _MIN_TITLE_LENGTH:
        return None
    best = max(Kind, key=lambda kind: likeness(text, kind.title))
    return best if _alike(text, best.title) else None


def _kind(texts: Sequence[str], code: MachineReadable | None) -> Kind | None:
    titled = next((kind for kind in map(title_kind, texts) if kind), None)
    return titled or (code.kind if code else None)


def _place(corners: Floats, transform: Transform | None) -> tuple[float, float] | None:
    if transform is None:
        return None
    x, y = project(transform, corners.mean(axis=0))[0]
    return float(x), float(y)
