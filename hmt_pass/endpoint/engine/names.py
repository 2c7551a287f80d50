"""Name and pinyin: two lines that say the same thing, so each corrects the other."""

import itertools
from dataclasses import dataclass

from hmt_pass.endpoint.engine.page import likeness
from hmt_pass.endpoint.engine.pinyin import SEPARATOR, readings, spells
from hmt_pass.endpoint.engine.recognition import Alphabet, alternatives
from hmt_pass.endpoint.engine.text import Line

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ,"

_CHOICES = 24
_MIN_PROBABILITY = 0.02  # below it a character that fits the pinyin was a wrong one more often than not (measured)
_SURE = 0.8
_NEARLY = 0.75
_MAX_SPELLINGS = 256

Choices = list[list[tuple[str, float]]]
"""For each character what it can be, with probabilities, best first."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name in characters and in pinyin (capitals, no comma), and whether the one spells the other."""

    characters: str = ""
    pinyin: str = ""
    agree: bool = False


def read(characters: Line | None, pinyin: Line | None, standard: Alphabet, letters: Alphabet) -> Name:
    """The name out of its two lines; a part is empty when its line is missing or not trusted."""
    choices = alternatives(characters.probabilities, standard, _CHOICES) if characters else []
    spelling = alternatives(pinyin.probabilities, letters, 1) if pinyin else []
    name, latin = _best(choices), _best(spelling).replace(",", "")
    if spells(latin, name):
        return Name(name, latin, agree=True)
    if respelt := _nearest(choices, latin):
        return Name(respelt, latin, agree=True)
    name, latin = (name if _is_sure(choices) else ""), (latin if _is_sure(spelling) else "")
    if not (name and latin):
        return _completed(name, latin, _best(spelling).replace(",", ""))
    # Both sure and not the same: a rare character looks to the recognizer like a common one, beyond doubt.
    return Name("", latin)


def _best(choices: Choices) -> str:
    return "".join(choice[0][0] for choice in choices)


def _is_sure(choices: Choices) -> bool:
    """Whether every character is sure: one look-alike among three sure ones would pass an average."""
    return all(choice[0][1] >= _SURE for choice in choices)


def _completed(name: str, pinyin: str, doubtful: str) -> Name:
    """A sure name with the reading of it that is nearest to its doubtful pinyin, else the two halves as they are."""
    corrected = _nearest_spelling(name, doubtful) if name else ""
    return Name(name, corrected or pinyin, agree=bool(corrected))


def _nearest(choices: Choices, pinyin: str) -> str:
    """The most probable name that `pinyin` spells, one of the choices for each character; empty when there is none."""
    best = {0: (1.0, "")}
    for choice in choices:
        longer: dict[int, tuple[float, str]] = {}
        for (end, (probability, name)), (character, likely) in itertools.product(best.items(), choice):
            if likely < _MIN_PROBABILITY:
                continue
            for said in readings(character) or ({""} if character == SEPARATOR else ()):
                if pinyin.startswith(said, end):
                    candidate = (probability * likely, name + character)
                    longer[end + len(said)] = max(longer.get(end + len(said), (0.0, "")), candidate)
        best = longer
    return best.get(len(pinyin), (0.0, ""))[1]


def _nearest_spelling(name: str, pinyin: str) -> str:
    """The reading of `name` nearest to what was read as its pinyin; empty when none is near."""
    said = [sorted(readings(character)) for character in name.replace(SEPARATOR, "")]
    spellings = ("".join(parts) for parts in itertools.islice(itertools.product(*said), _MAX_SPELLINGS))
    best = max(spellings, key=lambda spelling: likeness(spelling, pinyin), default="")
    return best if likeness(best, pinyin) >= _NEARLY else ""
