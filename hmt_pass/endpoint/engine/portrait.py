"""Whether something is printed where the portrait belongs."""

import cv2
import numpy as np

from hmt_pass.endpoint.engine import card, layout
from hmt_pass.endpoint.engine.geometry import Picture, straighten
from hmt_pass.endpoint.engine.layout import Transform

_WIDTH_PX, _HEIGHT_PX = 108, 144
_FINE_PX, _COARSE_PX = 2.5, 14.0
_BLANK = 5.0  # blank places reach 4, the faintest portrait 7 (measured at all levels)


def is_printed(picture: Picture, transform: Transform) -> bool:
    """False only when the place is as plain as the card's ground, whatever light falls on it."""
    return contrast(picture, transform) > _BLANK


def contrast(picture: Picture, transform: Transform) -> float:
    """How much brightness varies, in grey levels, at the scale of a face.

    Finer than that is the ground's pattern, coarser is a shadow or a glare.
    """
    box = card.PORTRAIT
    flat = straighten(picture, layout.corners_in_picture(transform, box), _WIDTH_PX, _HEIGHT_PX)
    grey = cv2.cvtColor(flat, cv2.COLOR_BGR2GRAY).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), px) for px in (_FINE_PX, _COARSE_PX))
    return float((fine - coarse).std())
