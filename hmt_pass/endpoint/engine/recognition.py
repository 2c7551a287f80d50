"""What a line says: the PP-OCR recognizer."""

import math

import numpy as np

from hmt_pass.endpoint.engine.ctc import Alphabet
from hmt_pass.endpoint.engine.geometry import Floats, Picture
from hmt_pass.endpoint.engine.models import Model

HEIGHT_PX = 48
"""Height of a line as the recognizer wants it."""

_WIDTH_GRID_PX = 16
_MIN_WIDTH_PX = 64


class Recognizer:
    """Reads lines of text."""

    def __init__(self, model: Model) -> None:
        self._model = model
        characters = model.metadata("character").split("\n")
        self.known = {character: index for index, character in enumerate([*characters, " "], start=1)}
        self.everything = Alphabet(self.known, self.known)

    def probabilities(self, line: Picture) -> Floats:
        """For a line HEIGHT_PX high, an array (steps, characters).

        One line a run: a batch pads every line to its widest and costs 1.8 times as much on a CPU (measured).
        """
        used_px = line.shape[1]
        width_px = max(_MIN_WIDTH_PX, math.ceil(used_px / _WIDTH_GRID_PX) * _WIDTH_GRID_PX)
        values = np.zeros((1, 3, HEIGHT_PX, width_px), np.float32)
        values[0, :, :, :used_px] = (line.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)
        steps: Floats = self._model.run(values)[0]
        # What lies beyond the line is padding, in which the network sees ghosts.
        return steps[: math.ceil(len(steps) * used_px / width_px) + 1]
