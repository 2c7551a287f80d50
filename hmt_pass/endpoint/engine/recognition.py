"""What a line says: the PP-OCR recognizer and the decoding of its output (CTC).

The recognizer cuts a line into steps and gives each a probability for every character and for `blank`, index 0. An
`Alphabet` narrows that to the characters that a field can hold, so that O is never read where only 0 can stand.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hmt_pass.endpoint.engine.geometry import Floats, Picture
from hmt_pass.endpoint.engine.models import Model

HEIGHT_PX = 48
"""Height of a line as the recognizer wants it."""

_WIDTH_GRID_PX = 16
_MIN_WIDTH_PX = 64


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded line: its text and the mean probability of its characters, 0 to 1."""

    text: str
    confidence: float


class Alphabet:
    """Characters that may appear, as indices into the recognizer's output."""

    def __init__(self, known: dict[str, int], characters: Iterable[str]) -> None:
        allowed = sorted({known[character] for character in characters if character in known})
        names = {index: character for character, index in known.items()}
        self.indices: npt.NDArray[np.intp] = np.array([0, *allowed])
        self.characters = ["", *(names[index] for index in allowed)]

    def narrow(self, probabilities: Floats) -> Floats:
        """The probabilities of these characters alone, without a copy when they are all there are."""
        everything = probabilities.shape[1] == len(self.indices)
        return probabilities if everything else np.asarray(probabilities[:, self.indices], np.float32)


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


def decode(probabilities: Floats, alphabet: Alphabet) -> Text:
    """The most likely text that the alphabet can spell."""
    narrowed = alphabet.narrow(probabilities)
    best = narrowed.argmax(axis=1)
    begins = (best != np.concatenate(([0], best[:-1]))) & (best != 0)
    text = "".join(alphabet.characters[index] for index in best[begins])
    confidence = float(narrowed.max(axis=1)[begins].mean()) if text else 0.0
    return Text(text, confidence)


def alternatives(probabilities: Floats, alphabet: Alphabet, count: int) -> list[list[tuple[str, float]]]:
    """For each character of `decode`'s text, up to `count` characters with their probability, best first."""
    narrowed = alphabet.narrow(probabilities)
    best = narrowed.argmax(axis=1)
    edges = np.flatnonzero(np.diff(best)) + 1
    runs = [run for run in np.split(np.arange(len(best)), edges) if len(run) and best[run[0]] != 0]
    found = []
    for run in runs:
        peaks = narrowed[run, 1:].max(axis=0)  # without the blank
        top = np.argsort(-peaks)[:count] + 1
        found.append([(alphabet.characters[index], float(peaks[index - 1])) for index in top])
    return found
