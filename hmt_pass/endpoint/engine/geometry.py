"""Quadrilaterals and perspective maps. A quadrilateral is a float32 array (4, 2), clockwise, in pixels."""

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]
"""Height x width x 3, blue green red."""


def clockwise(corners: Floats) -> Floats:
    """The four corners clockwise, beginning with the upper one of the two on the left."""
    by_x = corners[np.argsort(corners[:, 0])]
    left, right = (pair[np.argsort(pair[:, 1])] for pair in (by_x[:2], by_x[2:]))
    return np.array([left[0], right[0], right[1], left[1]], np.float32)


def size(quad: Floats) -> tuple[float, float]:
    """Width and height: the longer of each pair of opposite sides."""
    top, right, bottom, left = (float(np.linalg.norm(quad[(i + 1) % 4] - quad[i])) for i in range(4))
    return max(top, bottom), max(left, right)


def turned(quad: Floats, quarters: int) -> Floats:
    """The same quadrilateral, beginning `quarters` corners later."""
    return np.roll(quad, -quarters, axis=0)


def project(transform: npt.NDArray[np.floating], points: npt.ArrayLike) -> Floats:
    """`points` (n, 2) through a 3x3 perspective map."""
    shaped = np.asarray(points, np.float64).reshape(-1, 1, 2)
    return cast(Floats, cv2.perspectiveTransform(shaped, transform).reshape(-1, 2).astype(np.float32))


def straighten(picture: Picture, quad: Floats, width_px: int, height_px: int) -> Picture:
    """What lies inside the quadrilateral, as an upright picture of the given size."""
    corners = np.array([[0, 0], [width_px, 0], [width_px, height_px], [0, height_px]], np.float32)
    transform = cv2.getPerspectiveTransform(quad, corners)
    flags = cv2.INTER_CUBIC
    upright = cv2.warpPerspective(
        picture, transform, (width_px, height_px), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return cast(Picture, upright)
