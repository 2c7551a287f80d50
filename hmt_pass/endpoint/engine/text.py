"""The text in a picture: where lines are, whichever way the picture is turned, and what they say."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from hmt_pass.endpoint.engine import models
from hmt_pass.endpoint.engine.ctc import decode
from hmt_pass.endpoint.engine.detection import Detector
from hmt_pass.endpoint.engine.geometry import Floats, Picture, size, straighten, turned
from hmt_pass.endpoint.engine.models import Model
from hmt_pass.endpoint.engine.recognition import HEIGHT_PX, Recognizer

_LONG = 2.0  # width to height from which a box shows in which direction its text runs
_MIN_ASPECT, _MAX_ASPECT = 2.2, 22.0
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
    """Finds lines of text in a picture and reads them."""

    def __init__(self, detector: Detector, recognizer: Recognizer, orientation: Model) -> None:
        self._detector, self.recognizer, self._orientation = detector, recognizer, orientation

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Load the three models. Raises SettingsError when they are not there."""
        cv2.setNumThreads(1)
        where = folder or models.folder()
        detector, recognizer, orientation = (models.load(name, where) for name in models.SHA256)
        return cls(Detector(detector), Recognizer(recognizer), orientation)

    def find(self, picture: Picture, long_side_px: int) -> list[Floats]:
        """The lines, looked for at `long_side_px`: corners clockwise from the top left of the text, in pixels."""
        quads = [quad for quad in self._detector.find(picture, long_side_px) if _has_area(quad)]
        return [quad for group in along_the_text(quads) for quad in self._upright(picture, group)]

    def find_upright(self, picture: Picture) -> list[Floats]:
        """The lines of a picture that is known to be upright, looked for at its own size."""
        return [quad for quad in self._detector.find(picture, max(picture.shape[:2])) if _has_area(quad)]

    def read(self, picture: Picture, corners: Floats) -> Line:
        """What the line with these corners says, at the picture's full resolution."""
        probabilities = self.recognizer.probabilities(_crop(picture, corners))
        read = decode(probabilities, self.recognizer.everything)
        return Line(corners, read.text, read.confidence, probabilities)

    def _upright(self, picture: Picture, quads: list[Floats]) -> list[Floats]:
        """One vote of the largest lines for all of a direction: a single short line is easily misjudged."""
        if not quads:
            return []
        voters = sorted(quads, key=prominence, reverse=True)[:_VOTERS]
        values = np.zeros((len(voters), 3, HEIGHT_PX, _VOTER_WIDTH_PX), np.float32)
        for row, voter in zip(values, (_crop(picture, quad) for quad in voters), strict=True):
            middle = voter[:, max(0, voter.shape[1] - _VOTER_WIDTH_PX) // 2 :][:, :_VOTER_WIDTH_PX]
            row[:, :, : middle.shape[1]] = (middle.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)
        votes = self._orientation.run(values)
        upright, reverse = np.log(votes + 1e-6).sum(axis=0)
        return [turned(quad, 2) for quad in quads] if reverse > upright else quads


def _has_area(quad: Floats) -> bool:
    return min(size(quad)) >= _MIN_SIDE_PX


def _aspect(quad: Floats) -> float:
    width, height = size(quad)
    return width / height


def prominence(quad: Floats) -> tuple[bool, float]:
    """Rank of a line by what it may tell of a card: those as long as its title, number, dates and code, large first."""
    return _MIN_ASPECT < _aspect(quad) < _MAX_ASPECT, size(quad)[1]


def along_the_text(quads: list[Floats]) -> tuple[list[Floats], list[Floats]]:
    """The quads begun so that the first side runs along the text, up to upside down, and all in one direction.

    Most lines run one way; long ones across it are those of another paper and come second. A short box (`男`) does not
    show its direction, so it follows the others.
    """
    longer = [quad if _aspect(quad) >= 1 else turned(quad, 1) for quad in quads]
    along, across = _main_directions([quad for quad in longer if _aspect(quad) > _LONG])
    ways: tuple[list[Floats], list[Floats]] = ([], [])
    for quad in longer:
        crosses = bool(_aspect(quad) > _LONG and abs(_direction(quad) @ across) > abs(_direction(quad) @ along))
        quarters = range(0, 4, 2) if _aspect(quad) > _LONG else range(4)
        toward = across if crosses else along
        ways[int(crosses)].append(
            max((turned(quad, by) for by in quarters), key=lambda way: float(_direction(way) @ toward))
        )
    return ways


def _main_directions(long: list[Floats]) -> tuple[Floats, Floats]:
    """The direction in which most text runs, by length, and the one across it, a quarter clockwise; unit vectors."""
    if not long:
        return np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    directions = np.array([_direction(quad) for quad in long])
    less_than_45_degrees_apart = np.abs(directions @ directions.T) > math.sqrt(0.5)
    lengths = np.array([size(quad)[0] for quad in long])
    along = directions[int((less_than_45_degrees_apart @ lengths).argmax())]
    return along, np.array([-along[1], along[0]], np.float32)


def _direction(quad: Floats) -> Floats:
    """Unit vector along the first side."""
    along = quad[1] - quad[0]
    return np.asarray(along / np.linalg.norm(along), np.float32)


def _crop(picture: Picture, quad: Floats) -> Picture:
    width, height = size(quad)
    width_px = max(HEIGHT_PX // 3, min(math.ceil(width * HEIGHT_PX / height), _MAX_WIDTH_PX))
    if height < 2 * HEIGHT_PX:
        return straighten(picture, quad, width_px, HEIGHT_PX)
    doubled = straighten(picture, quad, 2 * width_px, 2 * HEIGHT_PX)  # twice the size first, against aliasing
    return np.asarray(cv2.resize(doubled, (width_px, HEIGHT_PX), interpolation=cv2.INTER_AREA), np.uint8)
