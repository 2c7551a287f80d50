"""The 8,105 standard characters and how they are read, without tones.

characters.txt is Unihan 15.0's kTGHZ2013 (Unicode License): a reading and its characters on each line, ü spelled YU as
on permits. The table replaces a pinyin library: it is the very alphabet of names, and an import costs no 0.4 s.
"""

from collections import defaultdict
from functools import cache
from importlib.resources import files

SEPARATOR = "·"
"""Between the parts of a name of a minority."""

# Readings as a surname that the dictionary behind the table leaves out.
_SURNAMES = {"黑": "HE", "隗": "KUI"}


@cache
def _table() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = defaultdict(set)
    for line in files(__package__).joinpath("characters.txt").read_text("utf-8").splitlines():
        reading, _, characters = line.partition(" ")
        for character in characters:
            table[character].add(reading)
    for character, reading in _SURNAMES.items():
        table[character].add(reading)
    return {character: frozenset(readings) for character, readings in table.items()}


def characters() -> frozenset[str]:
    """Every standard character."""
    return frozenset(_table())


def only_reading(character: str) -> str:
    """How a character is read when there is one way alone, spelled as on today's permits; empty otherwise."""
    said = _table().get(character, frozenset())
    return next(iter(said)) if len(said) == 1 else ""


@cache
def readings(character: str) -> frozenset[str]:
    """How a character is read, in capitals and in every spelling of ü; empty for one that is not standard."""
    return frozenset(spelling for reading in _table().get(character, ()) for spelling in _spellings(reading))


def _spellings(reading: str) -> set[str]:
    """A reading and, for one with ü, the spellings of older permits: LYU, LV and LU."""
    if reading.startswith(("LYU", "NYU")):
        return {reading, reading.replace("YU", "V"), reading.replace("YU", "U")}
    return {reading}


def spells(pinyin: str, name: str) -> bool:
    """Whether `pinyin` (capitals without comma) is a reading of `name`, each character in any of its readings."""
    ends = {0}
    for character in name.replace(SEPARATOR, ""):
        ends = {end + len(said) for end in ends for said in readings(character) if pinyin.startswith(said, end)}
    return bool(name) and len(pinyin) in ends


@cache
def _syllables() -> frozenset[str]:
    return frozenset(spelling for character in characters() for spelling in readings(character))


def is_spellable(text: str) -> bool:
    """Whether `text` (capitals) is a row of syllables."""
    ends = {0}
    for start in range(len(text)):
        if start in ends:
            ends |= {start + length for length in range(1, 7) if text[start : start + length] in _syllables()}
    return bool(text) and len(text) in ends
