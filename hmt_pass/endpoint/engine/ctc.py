"""Decoding of the recognizer's output (connectionist temporal classification).

The recognizer cuts a line into steps and gives each a probability for every character and for `blank`, index 0. An
`Alphabet` narrows that to the characters that a field can hold, so that O is never read where only 0 can stand; where a
field is of a closed list, each entry is scored instead.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hmt_pass.endpoint.engine.geometry import Floats

_NEVER = -1e9
_LEAST = 1e-7  # below it the network's probabilities are noise
_ENTRY_STEPS = 2  # an entry's character can come from a character or a blank before it


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded line: its text, and the mean and the least probability of its characters, 0 to 1."""

    text: str
    confidence: float
    weakest: float


class Alphabet:
    """Characters that may appear, as indices into the recognizer's output.

    `silent` characters are read as blanks: they separate, but are not spelled.
    """

    def __init__(self, known: dict[str, int], characters: Iterable[str], silent: str = "") -> None:
        allowed = sorted({known[character] for character in characters if character in known})
        names = {index: character for character, index in known.items()}
        self.indices: npt.NDArray[np.intp] = np.array([0, *allowed])
        self.characters = ["", *(names[index] for index in allowed)]
        self._positions = {character: position for position, character in enumerate(self.characters)}
        self._silent = [known[character] for character in silent if character in known]

    def narrow(self, probabilities: Floats) -> Floats:
        """The probabilities of these characters alone, without a copy when they are all there are."""
        if probabilities.shape[1] == len(self.indices):
            return probabilities
        narrowed = np.asarray(probabilities[:, self.indices], np.float32)
        if self._silent:
            narrowed[:, 0] += probabilities[:, self._silent].sum(axis=1)
        return narrowed

    def spell(self, text: str) -> list[int]:
        """The positions of the characters of `text` in this alphabet. Raises KeyError for one that it has not."""
        return [self._positions[character] for character in text]


def decode(probabilities: Floats, alphabet: Alphabet) -> Text:
    """The most likely text that the alphabet can spell."""
    narrowed = alphabet.narrow(probabilities)
    best = narrowed.argmax(axis=1)
    begins = (best != np.concatenate(([0], best[:-1]))) & (best != 0)
    text = "".join(alphabet.characters[index] for index in best[begins])
    peaks = narrowed.max(axis=1)[begins]
    return Text(text, float(peaks.mean()), float(peaks.min())) if text else Text("", 0.0, 0.0)


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


def log_likelihoods(probabilities: Floats, alphabet: Alphabet, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """For each of `texts` the logarithm of the probability that the line says it, summed over all its alignments."""
    logs = np.log(np.maximum(alphabet.narrow(probabilities), _LEAST)).astype(np.float64)
    spelled = [alphabet.spell(text) for text in texts]
    states = np.zeros((len(texts), 2 * max(map(len, spelled), default=0) + 1), np.intp)
    for row, indices in zip(states, spelled, strict=True):
        row[1 : 2 * len(indices) : 2] = indices
    ends = [2 * len(indices) for indices in spelled]
    reached = _forward(logs, states)
    finals = [row[max(0, end - 1) : end + 1] for row, end in zip(reached, ends, strict=True)]  # with or without a blank
    return np.array([np.logaddexp.reduce(final) for final in finals])


def _forward(logs: npt.NDArray[np.float64], states: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """The forward variables after the last step: a row for each text, a column for each of its states."""
    skips = np.zeros(states.shape, bool)
    skips[:, 2:] = (states[:, 2:] != 0) & (states[:, 2:] != states[:, :-2])
    reached = np.full(states.shape, _NEVER)
    reached[:, :_ENTRY_STEPS] = logs[0][states[:, :_ENTRY_STEPS]]
    for step in logs[1:]:
        arrived = reached.copy()
        arrived[:, 1:] = np.logaddexp(arrived[:, 1:], reached[:, :-1])
        skipping = np.where(skips[:, 2:], reached[:, :-2], _NEVER)
        arrived[:, 2:] = np.logaddexp(arrived[:, 2:], skipping)
        reached = arrived + step[states]
    return reached


def support(probabilities: Floats, alphabet: Alphabet, text: str) -> float:
    """How much less likely `text` is than what the line seems to say: a logarithm, 0 when it is just that."""
    greedy = decode(probabilities, alphabet).text
    said, seemed = log_likelihoods(probabilities, alphabet, [text, greedy])
    return float(said - seemed)
