"""Name and pinyin: two lines that say the same thing, so each corrects the other."""

import itertools
from dataclasses import dataclass

from hmt_pass.endpoint.page import likeness
from hmt_pass.endpoint.pinyin import SEPARATOR, readings, spells
from hmt_pass.endpoint.recognition import Alphabet, alternatives, decode
from hmt_pass.endpoint.text import Line

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ,"

_CHOICES = 24
_MIN_PROBABILITY = 0.02  # below it a character that fits the pinyin was a wrong one more often than not (measured)
_SURE = 0.8
_NEARLY = 0.75
_MAX_SPELLINGS = 256


@dataclass(frozen=True, slots=True)
class Name:
    """A name in characters and in pinyin (capitals, no comma), and whether the one spells the other."""

    characters: str = ""
    pinyin: str = ""
    agree: bool = False


def read(characters: Line | None, pinyin: Line | None, standard: Alphabet, letters: Alphabet) -> Name:
    """The name out of its two lines; a part is empty when its line is missing or not trusted."""
    choices = alternatives(characters.probabilities, standard, _CHOICES) if characters else []
    text = "".join(choice[0][0] for choice in choices)
    # Every character must be sure: one look-alike among three sure ones would pass an average.
    sure = all(choice[0][1] >= _SURE for choice in choices)
    if not pinyin:
        return Name(text if sure else "")
    spelt = decode(pinyin.probabilities, letters)
    latin = spelt.text.replace(",", "")
    if spells(latin, text):
        return Name(text, latin, agree=True)
    if respelt := _nearest(choices, latin):
        return Name(respelt, latin, agree=True)
    if sure and (corrected := _nearest_spelling(text, latin)):
        return Name(text, corrected, agree=True)
    return Name(text if sure else "", latin if spelt.confidence >= _SURE else "")


def _nearest(choices: list[list[tuple[str, float]]], pinyin: str) -> str:
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
