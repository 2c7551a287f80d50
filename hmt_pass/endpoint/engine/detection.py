"""Where the lines of text are: the PP-OCR detector and the boxes around what it marks."""

import threading

import cv2
import numpy as np
import numpy.typing as npt

from hmt_pass.endpoint.engine.geometry import Floats, Picture, clockwise
from hmt_pass.endpoint.engine.models import Model

_GRID_PX = 32  # the network halves its input five times
_MAX_ENLARGEMENT = 1.5
_PIXEL_THRESHOLD = 0.3
_LINE_THRESHOLD = 0.5
_MIN_SIDE_PX = 3
_MAX_LINES = 1000
_GROWTH = 1.6  # the network marks the core of a line; PP-OCR's own unclip ratio


class Detector:
    """Finds lines of text. One search runs at a time: its maps are what takes most memory of a reading."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._one_at_a_time = threading.Lock()

    def find(self, picture: Picture, long_side_px: int) -> list[Floats]:
        """The lines as quadrilaterals in the picture's pixels, clockwise, found at `long_side_px`."""
        height_px, width_px = picture.shape[:2]
        scale = min(long_side_px / max(height_px, width_px), _MAX_ENLARGEMENT)
        small_size = tuple(max(_GRID_PX, round(side * scale / _GRID_PX) * _GRID_PX) for side in (width_px, height_px))
        small = cv2.resize(picture, small_size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        # One picture, channels first, -1 to 1; what comes back is how likely each pixel belongs to text, 0 to 1.
        values = (small.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
        with self._one_at_a_time:
            marks = self._model.run(values)[0, 0]
        factor = np.array([width_px / small_size[0], height_px / small_size[1]], np.float32)
        return [quad * factor for quad in _boxes(marks)]


def _boxes(marks: Floats) -> list[Floats]:
    mask = cv2.dilate((marks > _PIXEL_THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    boxes = (_box(marks, np.asarray(contour, np.int32)) for contour in contours[:_MAX_LINES])
    return [box for box in boxes if box is not None]


def _box(marks: Floats, contour: npt.NDArray[np.int32]) -> Floats | None:
    """The box around one contour, grown to the size of its line; None when it is too small or too faint."""
    center, (width, height), angle = cv2.minAreaRect(contour)
    if min(width, height) < _MIN_SIDE_PX or _strength(marks, contour) < _LINE_THRESHOLD:
        return None
    growth = width * height * _GROWTH / (width + height)
    grown = (center, (width + growth, height + growth), angle)
    return clockwise(np.asarray(cv2.boxPoints(grown), np.float32))


def _strength(marks: Floats, contour: npt.NDArray[np.int32]) -> float:
    left, top, width, height = cv2.boundingRect(contour)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [contour - np.array([left, top])], 1)
    return float(cv2.mean(marks[top : top + height, left : left + width], inside)[0])
