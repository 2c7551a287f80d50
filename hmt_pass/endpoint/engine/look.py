"""A look at a picture: lines are found everywhere, and read only as far as they are worth it.

Reading the lines of a card costs twice as much as finding them. Large print is read first, because it tells where the
card lies; of the rest only what lies on the card, and where a field can be.
"""

from dataclasses import dataclass, field

import numpy as np

from hmt_pass.endpoint.engine import card, layout
from hmt_pass.endpoint.engine.alphabets import Alphabets
from hmt_pass.endpoint.engine.anchors import anchor_of
from hmt_pass.endpoint.engine.card import Box
from hmt_pass.endpoint.engine.geometry import Floats, Picture, project, size
from hmt_pass.endpoint.engine.layout import Anchor, Known, Transform
from hmt_pass.endpoint.engine.page import Page
from hmt_pass.endpoint.engine.text import Line, TextReader, prominence

_MIN_CONFIDENCE = 0.4
_BEYOND_DOUBT = 0.9
_ENOUGH_PLACES = 4
_MAX_LINES = 40  # read in search of a card: a keyboard has a hundred, a card twenty
_MAX_FIELD_LENGTH = 24  # characters; longer lines are print beside the card
_MAX_KEPT_BYTES = 64 << 20  # of lines that may lie beside the card: each keeps up to 10 MB of probabilities
_EDGE = 15.0  # card units by which a line of the card may seem to lie beyond its edge
_ROUGH_EDGE = 120.0  # the same while the card's tilt is not known

# What is printed where no field is, with room for a card that is not printed quite like another.
_WORTHLESS = (
    Box(0, 105, 285, 455),  # the portrait
    *(Box(label.left - 20, label.top + 2, label.right + 60, label.bottom - 2) for label in card.LABELS.values()),
    Box(350, 396, 600, 432),  # the authority, unless it is joined to the place
    Box(0, 516, card.WIDTH, card.HEIGHT + _EDGE),
)


@dataclass(slots=True)
class Look:
    """What was read in one picture so far."""

    text: TextReader
    picture: Picture
    alphabets: Alphabets
    lines: list[Line] = field(default_factory=list)
    anchors: list[Anchor] = field(default_factory=list)
    transform: Transform | None = None
    is_firm: bool = False
    """Whether enough of the card was seen to trust its place in the picture."""
    postponed: list[Floats] = field(default_factory=list)
    """Lines that are read again once it is known that they lie on the card."""
    done: list[Floats] = field(default_factory=list)
    """Middles of lines that tell nothing of a card, whose reading is beyond doubt."""

    def at(self, long_side_px: int) -> Page | None:
        """The page of the card, with what a look at `long_side_px` adds to earlier ones; None when there is none."""
        quads = sorted(self.text.find(self.picture, long_side_px), key=prominence, reverse=True)
        unread = self._read_most_prominent(quads)
        if self.transform is None:
            roughly = self._rough_places()
            self._read_most_prominent([quad for quad in unread if any(_is_near(quad, place) for place in roughly)])
        if self.transform is None:
            return None
        self._read_postponed(self.transform)
        return Page.of(self.lines, self.transform, self.alphabets)

    def _read_most_prominent(self, quads: list[Floats]) -> list[Floats]:
        """Read as many as a search may, and locate the card; returns the others that are worth it."""
        unread: list[Floats] = []
        tried = 0
        for quad in quads:
            if not self._is_worth_reading(quad):
                continue
            if tried < _MAX_LINES:
                self._read(quad)
                tried += 1
            else:
                unread.append(quad)
        self.transform = layout.locate(self.anchors)
        return unread

    def _is_worth_reading(self, quad: Floats) -> bool:
        if self.transform is None:
            return not self._is_done(quad)
        return is_worth_reading(quad, self.transform) if self.is_firm else _is_near(quad, self.transform)

    def _rough_places(self) -> list[Transform]:
        """Where cards may lie: a title or a code shows it roughly, even alone."""
        turns = (layout.similarity([anchor]) for anchor in self.anchors if anchor.known is Known.ENDS)
        return [turn for turn in turns if turn is not None]

    def _read(self, quad: Floats) -> None:
        line = self.text.read(self.picture, quad)
        if line.confidence <= _MIN_CONFIDENCE:
            return
        anchor = anchor_of(line, self.alphabets)
        is_too_long = len(line.text) > _MAX_FIELD_LENGTH
        if anchor is None and (is_too_long or line.confidence >= _BEYOND_DOUBT):
            self.done.append(quad.mean(axis=0))
        if anchor or not is_too_long:
            self._keep(line)
        if anchor:
            self.anchors.append(anchor)
            self._locate()

    def _keep(self, line: Line) -> None:
        """Keep a line; of many that may lie anywhere only where they are."""
        kept_bytes = sum(kept.probabilities.nbytes for kept in self.lines)
        if self.transform is None and kept_bytes > _MAX_KEPT_BYTES:
            self.postponed.append(line.corners)
        else:
            self.lines.append(line)

    def _read_postponed(self, transform: Transform) -> None:
        self.lines += [self.text.read(self.picture, quad) for quad in self.postponed if _is_near(quad, transform)]
        self.postponed.clear()

    def _is_done(self, quad: Floats) -> bool:
        """Whether the line was read before, and there is no point in reading it again."""
        middle, reach_px = quad.mean(axis=0), size(quad)[1] / 2
        return any(np.linalg.norm(middle - seen) < reach_px for seen in self.done)

    def _locate(self) -> None:
        """Find the card's place once its title or code is seen: dates and numbers are on other papers too."""
        if self.is_firm or all(anchor.known is not Known.ENDS for anchor in self.anchors):
            return
        self.transform = layout.locate(self.anchors)
        if self.transform is not None and layout.has_perspective(self.transform):
            self.is_firm = layout.agreeing_places(self.transform, self.anchors) >= _ENOUGH_PLACES


def is_worth_reading(quad: Floats, transform: Transform) -> bool:
    """Whether the line lies on the card, and where it can hold a field."""
    corners = project(transform, quad)
    x, y = (float(side) for side in corners.mean(axis=0))
    reaches_place = float(corners[:, 0].max()) > card.PLACE.left + _EDGE and card.PLACE.holds(card.PLACE.left, y)
    return card.OUTLINE.holds(x, y, _EDGE) and (reaches_place or not any(box.holds(x, y) for box in _WORTHLESS))


def _is_near(quad: Floats, transform: Transform) -> bool:
    x, y = (float(side) for side in project(transform, quad).mean(axis=0))
    return card.OUTLINE.holds(x, y, _ROUGH_EDGE)
