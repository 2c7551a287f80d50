"""Where the card lies in the picture: the map from pixels to card units, fitted to lines whose place is known."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from hmt_pass.endpoint.engine import card
from hmt_pass.endpoint.engine.card import Box
from hmt_pass.endpoint.engine.geometry import Floats, project

Transform = npt.NDArray[np.floating]
"""3x3 perspective map from pixels to card units."""

_ROUGH = 60.0  # card units; what perspective may move a point away from a mere rotation
_CLOSE = 18.0
_MIN_POINTS, _MIN_POINTS_IN_PERSPECTIVE = 3, 6
_MIN_ROWS = 3
_ROW_HEIGHT = 40.0
_MAX_TAPER = 2.0  # opposite sides of a card that a camera can still see


def locate(anchors: Sequence[tuple[Box, Floats]]) -> Transform | None:
    """The map that puts each anchor's corners where its box is printed; None when they do not agree on one.

    Only ends of lines are used: a detected box is taller than its text, but begins and ends with it.
    """
    if len(anchors) < 2:  # noqa: PLR2004  one line gives no second direction
        return None
    seen = np.concatenate([_ends(corners) for _, corners in anchors])
    printed = np.array([(x, box.middle) for box, _ in anchors for x in (box.left, box.right)], np.float32)
    rough, inliers = cv2.estimateAffinePartial2D(seen, printed, method=cv2.RANSAC, ransacReprojThreshold=_ROUGH)
    if rough is None or inliers.sum() < _MIN_POINTS:
        return None
    agreeing = inliers.ravel() > 0
    precise = _in_perspective(seen[agreeing], printed[agreeing])
    return np.vstack([rough, [0.0, 0.0, 1.0]]) if precise is None else precise


def _ends(corners: Floats) -> Floats:
    """Middles of the left and the right side."""
    return np.array([(corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2], np.float32)


def _in_perspective(seen: Floats, printed: Floats) -> Transform | None:
    if not _spread(printed):
        return None
    found, inliers = cv2.findHomography(seen, printed, cv2.RANSAC, _CLOSE)
    if found is None or not _spread(printed[inliers.ravel() > 0]):
        return None
    transform = np.asarray(found, np.float64)
    return transform if _can_be_seen(transform) else None


def _spread(printed: Floats) -> bool:
    """Whether the points are enough, and far enough apart, to tell a perspective."""
    rows = {round(float(y) / _ROW_HEIGHT) for y in printed[:, 1]}
    return len(printed) >= _MIN_POINTS_IN_PERSPECTIVE and len(rows) >= _MIN_ROWS


def _can_be_seen(transform: Transform) -> bool:
    """Whether the card's outline, taken back to the picture, is one that a camera could have seen."""
    determinant = np.linalg.det(transform)
    if not np.isfinite(determinant) or abs(determinant) < np.finfo(np.float64).tiny:
        return False
    outline = corners_in_picture(transform)
    sides = np.linalg.norm(outline - np.roll(outline, 1, axis=0), axis=1)
    taper = max(_ratio(sides[0], sides[2]), _ratio(sides[1], sides[3]))
    return taper < _MAX_TAPER and cv2.isContourConvex(outline) and cv2.contourArea(outline, oriented=True) > 0


def _ratio(one: float, other: float) -> float:
    return max(one, other) / max(min(one, other), 1e-6)


def corners_in_picture(transform: Transform) -> Floats:
    """The card's corners in the picture's pixels, clockwise from the top left."""
    corners = [(0, 0), (card.WIDTH, 0), (card.WIDTH, card.HEIGHT), (0, card.HEIGHT)]
    return project(np.linalg.inv(transform), corners)
