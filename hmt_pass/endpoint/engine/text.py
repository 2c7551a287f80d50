"""All text in a picture, in reading order of its corners whichever way the picture is turned."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from hmt_pass.endpoint.engine import models
from hmt_pass.endpoint.engine.detection import Detector
from hmt_pass.endpoint.engine.geometry import Floats, Picture, size, straighten, turned
from hmt_pass.endpoint.engine.models import Model
from hmt_pass.endpoint.engine.recognition import HEIGHT_PX, Recognizer, decode

_MIN_CONFIDENCE = 0.4
_LONG = 2.0  # width to height from which a box shows in which direction its text runs
_TALL = 1.5
_MAX_WIDTH_PX = 1600
_VOTERS = 6
_VOTER_WIDTH_PX = 192
_MIN_SIDE_PX = 2


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: its corners clockwise from the top left of the text, in pixels, and what it says."""

    corners: Floats
    text: str
    confidence: float
    probabilities: Floats = field(repr=False)


class TextReader:
    """Finds and reads all lines of text in a picture."""

    def __init__(self, detector: Detector, recognizer: Recognizer, orientation: Model) -> None:
        self._detector, self.recognizer, self._orientation = detector, recognizer, orientation

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Load the three models. Raises SettingsError when they are not there."""
        cv2.setNumThreads(1)
        where = folder or models.folder()
        detector, recognizer, orientation = (models.load(name, where) for name in models.SHA256)
        return cls(Detector(detector), Recognizer(recognizer), orientation)

    def lines(self, picture: Picture, long_side_px: int) -> list[Line]:
        """The lines, looked for at `long_side_px` and read at the picture's full resolution."""
        quads = along_the_text([quad for quad in self._detector.find(picture, long_side_px) if _has_area(quad)])
        crops = [_crop(picture, quad) for quad in quads]
        if crops and self._is_upside_down(crops):
            quads = [turned(quad, 2) for quad in quads]
            crops = [np.ascontiguousarray(crop[::-1, ::-1]) for crop in crops]
        return [line for line in map(self._line, quads, crops) if line.confidence > _MIN_CONFIDENCE]

    def _line(self, quad: Floats, crop: Picture) -> Line:
        probabilities = self.recognizer.probabilities(crop)
        read = decode(probabilities, self.recognizer.everything)
        return Line(quad, read.text, read.confidence, probabilities)

    def _is_upside_down(self, crops: list[Picture]) -> bool:
        """One vote of the longest lines for the whole picture: a single short line is easily misjudged."""
        voters = sorted(crops, key=lambda crop: -crop.shape[1])[:_VOTERS]
        values = np.zeros((len(voters), 3, HEIGHT_PX, _VOTER_WIDTH_PX), np.float32)
        for row, voter in zip(values, voters, strict=True):
            small = cv2.resize(voter, (min(_VOTER_WIDTH_PX, voter.shape[1]), HEIGHT_PX))
            row[:, :, : small.shape[1]] = (small.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)
        votes = self._orientation.run(values)
        upright, reverse = np.log(votes + 1e-6).sum(axis=0)
        return bool(reverse > upright)


def _has_area(quad: Floats) -> bool:
    return min(size(quad)) >= _MIN_SIDE_PX


def along_the_text(quads: list[Floats]) -> list[Floats]:
    """The quads begun so that the first side runs along the text, up to upside down.

    A short box (`男`) does not show its direction, so it follows the long ones.
    """
    wide_px = tall_px = 0.0
    for width, height in map(size, quads):
        wide_px += width if width > _LONG * height else 0
        tall_px += height if height > _LONG * width else 0
    sideways = tall_px > wide_px
    return [turned(quad, 1) if _is_tall(quad, sideways=sideways) else quad for quad in quads]


def _is_tall(quad: Floats, *, sideways: bool) -> bool:
    width, height = size(quad)
    return height * _TALL > width if sideways else height > _TALL * width


def _crop(picture: Picture, quad: Floats) -> Picture:
    width, height = size(quad)
    width_px = max(HEIGHT_PX // 3, min(math.ceil(width * HEIGHT_PX / height), _MAX_WIDTH_PX))
    if height < 2 * HEIGHT_PX:
        return straighten(picture, quad, width_px, HEIGHT_PX)
    doubled = straighten(picture, quad, 2 * width_px, 2 * HEIGHT_PX)  # twice the size first, against aliasing
    return np.asarray(cv2.resize(doubled, (width_px, HEIGHT_PX), interpolation=cv2.INTER_AREA), np.uint8)
