"""Where the card lies in the picture: the map from pixels to card units, fitted to lines whose place is known.

A picture can hold several cards and other papers. Every two lines propose a map, and the one that most places of the
card agree with is kept. So lines of two cards never share a map, and a misread line does not bend it.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
import numpy.typing as npt

from hmt_pass.endpoint.engine import card
from hmt_pass.endpoint.engine.card import Box
from hmt_pass.endpoint.engine.geometry import Floats, project

Transform = npt.NDArray[np.floating]
"""3x3 perspective map from pixels to card units."""

_CLOSE = 24.0  # card units: what print and boxes may be off
_ROUGH = 60.0  # what perspective may move a point away from a mere rotation
_ENOUGH = 3  # places that must agree on a perspective: two always do
_MAX_ANCHORS = 24
_MIN_ROWS_APART = 60.0  # card units
_MAX_TAPER = 2.0  # opposite sides of a card that a camera can still see
_MAX_STRETCH = 1.6  # of the card's proportions, for the same reason


class Known(Enum):
    """What of a line's place is known: the shares of its length that fit a map, and whether its width is known too."""

    ENDS = (0.0, 1.0), True
    START = (0.0,), True  # its width is known about: it depends on the typeface
    START_ALONE = (0.0,), False  # its width depends on what it says
    MIDDLE = (0.5,), False

    def __init__(self, shares: tuple[float, ...], has_width: bool) -> None:
        self.shares, self.has_width = shares, has_width


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """A line whose place on the card is known: its corners in the picture, and where it is printed.

    Only points along its middle are used: a detected box is taller than its text, but begins and ends with it.
    """

    box: Box
    corners: Floats
    known: Known = Known.ENDS

    def seen(self, shares: tuple[float, ...]) -> Floats:
        """Points along the line in the picture."""
        start, end = (self.corners[0] + self.corners[3]) / 2, (self.corners[1] + self.corners[2]) / 2
        return np.array([start + share * (end - start) for share in shares], np.float32)

    def printed(self, shares: tuple[float, ...]) -> Floats:
        """The same points in card units."""
        left, width = self.box.left, self.box.right - self.box.left
        return np.array([(left + share * width, self.box.middle) for share in shares], np.float32)


def locate(anchors: Sequence[Anchor]) -> Transform | None:
    """The map that puts each anchor's ends where its box is printed; None when no two anchors agree on one."""
    considered = anchors[:_MAX_ANCHORS]
    transform, agreeing = _best(_perspectives(considered), considered, _CLOSE, _ENOUGH)
    if transform is not None:
        return _refined(transform, agreeing)
    return _best(_rotations(considered), considered, _ROUGH, 2)[0]


def agreeing_places(transform: Transform, anchors: Sequence[Anchor]) -> int:
    """How many places of the card the map puts where they are printed."""
    return len(_agreeing(transform, anchors, _CLOSE))


def has_perspective(transform: Transform) -> bool:
    """Whether the map knows how the card is tilted, and not only how it is turned."""
    return bool(np.any(transform[2, :2]))


def corners_in_picture(transform: Transform, box: Box = card.OUTLINE) -> Floats:
    """The corners of a box of the card, or of the card, in the picture's pixels, clockwise from the top left."""
    return project(np.linalg.inv(transform), box.corners)


def _pairs(anchors: Sequence[Anchor]) -> Iterator[tuple[Anchor, Anchor]]:
    whole = [anchor for anchor in anchors if anchor.known.has_width]
    return ((one, other) for one, other in itertools.combinations(whole, 2) if one.box is not other.box)


def _perspectives(anchors: Sequence[Anchor]) -> Iterator[Transform]:
    """The maps of every two lines on rows that are far enough apart."""
    for one, other in _pairs(anchors):
        if abs(one.box.middle - other.box.middle) >= _MIN_ROWS_APART:
            yield np.asarray(cv2.getPerspectiveTransform(*_ends((one, other))), np.float64)


def _rotations(anchors: Sequence[Anchor]) -> Iterator[Transform]:
    for pair in _pairs(anchors):
        transform = similarity(pair)
        if transform is not None:
            yield transform


def _ends(anchors: Sequence[Anchor]) -> tuple[Floats, Floats]:
    """Both ends of each line, in the picture and in card units."""
    shares = Known.ENDS.shares
    return np.concatenate([one.seen(shares) for one in anchors]), np.concatenate(
        [one.printed(shares) for one in anchors]
    )


def _points(anchors: Sequence[Anchor]) -> tuple[Floats, Floats]:
    """The points of the lines whose place is known well, in the picture and in card units."""
    seen = [point for one in anchors for point in one.seen(one.known.shares)]
    return np.array(seen, np.float32), np.array(
        [p for one in anchors for p in one.printed(one.known.shares)], np.float32
    )


def _best(
    proposed: Iterable[Transform], anchors: Sequence[Anchor], tolerance: float, enough: int
) -> tuple[Transform | None, list[Anchor]]:
    """The map with which most places of the card agree; of several cards the larger one's."""
    judged = ((transform, _agreeing(transform, anchors, tolerance)) for transform in proposed)
    visible = ((one, agreeing) for one, agreeing in judged if len(agreeing) >= enough and _can_be_seen(one))
    best: tuple[Transform | None, list[Anchor]] = None, []
    return max(visible, key=lambda found: (len(found[1]), cv2.contourArea(corners_in_picture(found[0]))), default=best)


def _agreeing(transform: Transform, anchors: Sequence[Anchor], tolerance: float) -> list[Anchor]:
    """For each place the anchor that the map puts nearest to it, where that is near enough."""
    nearest: dict[Box, tuple[float, Anchor]] = {}
    seen, printed = _points(anchors)
    off = np.abs(project(transform, seen) - printed).max(axis=1)
    lasts = itertools.accumulate(len(anchor.known.shares) for anchor in anchors)
    for anchor, last in zip(anchors, lasts, strict=True):
        worst = float(off[last - len(anchor.known.shares) : last].max())
        if worst <= nearest.get(anchor.box, (tolerance, anchor))[0]:
            nearest[anchor.box] = worst, anchor
    return [anchor for _, anchor in nearest.values()]


def _refined(transform: Transform, agreeing: Sequence[Anchor]) -> Transform:
    """The map that fits all the agreeing anchors (least squares), where enough of them are known from end to end."""
    if sum(anchor.known is Known.ENDS for anchor in agreeing) < 2:  # noqa: PLR2004  the title and the code
        return transform
    found, _ = cv2.findHomography(*_points(agreeing))
    refined = transform if found is None else np.asarray(found, np.float64)
    return refined if _can_be_seen(refined) else transform


def similarity(anchors: Sequence[Anchor]) -> Transform | None:
    """The turn, scale and shift that fits the anchors best (least squares); None when they are one point."""
    seen, printed = (points.astype(np.float64) for points in _ends(anchors))
    one, other = ((points - points.mean(axis=0)) @ [1, 1j] for points in (seen, printed))
    spread = float((abs(one) ** 2).sum())
    turn = complex((other * one.conj()).sum() / spread) if spread else 0j
    if not turn:
        return None
    rotation = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    shift = printed.mean(axis=0) - rotation @ seen.mean(axis=0)
    return np.vstack([np.column_stack([rotation, shift]), [0.0, 0.0, 1.0]])


def _can_be_seen(transform: Transform) -> bool:
    """Whether the card's outline, taken back to the picture, is one that a camera could have seen."""
    determinant = np.linalg.det(transform)
    if not np.isfinite(determinant) or abs(determinant) < np.finfo(np.float64).tiny:
        return False
    outline = corners_in_picture(transform)
    sides = np.linalg.norm(outline - np.roll(outline, 1, axis=0), axis=1)
    taper = max(_ratio(sides[0], sides[2]), _ratio(sides[1], sides[3]))
    stretch = _ratio((sides[1] + sides[3]) * card.HEIGHT, (sides[0] + sides[2]) * card.WIDTH)
    convex = cv2.isContourConvex(outline) and cv2.contourArea(outline, oriented=True) > 0
    return taper < _MAX_TAPER and stretch < _MAX_STRETCH and convex


def _ratio(one: float, other: float) -> float:
    return max(one, other) / max(min(one, other), 1e-6)
