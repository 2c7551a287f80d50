"""Name and pinyin: two lines that say the same thing, so each corrects the other.

A candidate is a name, as the characters' line can be read, with one way of spelling it. Its probability is that of its
characters times that of its spelling on the pinyin's line. A field is worth its share in all candidates. One of them is
that the two lines do not say the same; then each is worth what it is alone.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hmt_pass.endpoint.engine.alphabets import Alphabets
from hmt_pass.endpoint.engine.ctc import Alphabet, Text, alternatives, decode, log_likelihoods
from hmt_pass.endpoint.engine.found import NOTHING, Found
from hmt_pass.endpoint.engine.pinyin import SEPARATOR, is_spellable, readings
from hmt_pass.endpoint.engine.text import Line

_CHOICES = 24
_LEAST = 1e-4  # probability of a character that is still tried
_MAX_NAMES, _MAX_SPELLINGS = 128, 32

# A character that fits the pinyin but is less likely than this was a wrong one more often than not (measured).
_DIFFERENT = math.log(0.02)

_NO_PINYIN = -8.0
_LETTERS_WEIGHT = 0.5
_MISREAD = -3.0  # support from which a letter of the pinyin was corrected
_CORRECTED = 0.97
_LONGEST_PLAIN = 4  # characters of a name that needs no separator: a compound surname and two more
_SEPARATOR_MISSED = 0.9
_SURE = 0.8
_MIN_CONFIDENCE = 0.7
_NAME_ALONE, _PINYIN_ALONE = 0.8, 0.75
_NAME_AGAINST_PINYIN = 0.3  # a rare character looks to the recognizer like a common one, beyond doubt


Choices = list[list[tuple[str, float]]]
"""For each character what it can be, with probabilities, best first."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    pinyin: str
    score: float  # logarithm of its probability
    name_worth: float = 1.0  # how likely the name is right if the candidate is
    pinyin_worth: float = 1.0


@dataclass(frozen=True, slots=True)
class Name:
    """A name in characters and in pinyin (capitals, no comma), and the logarithm of how likely its lines say so."""

    characters: Found = NOTHING
    pinyin: Found = NOTHING
    score: float = -math.inf


def read(uppers: Sequence[Line], lowers: Sequence[Line], alphabets: Alphabets) -> Name:
    """The name out of the lines that can be its characters, and those that can be its pinyin."""
    pairs = (_together(upper, lower, alphabets) for upper, lower in itertools.product(uppers, lowers))
    # Half of a name can go with half of its pinyin: the more a pair explains, the better.
    best = max(pairs, key=lambda name: name.score + len(name.characters.value), default=None)
    if best:
        return best
    characters = (_alone(line, alphabets.standard, _NAME_ALONE) for line in uppers)
    pinyin = (_alone(line, alphabets.letters, _PINYIN_ALONE) for line in lowers)
    return Name(_surest(characters), _surest(pinyin))


def _surest(found: Iterable[Found]) -> Found:
    return max(found, key=lambda one: one.confidence, default=NOTHING)


def _alone(line: Line, alphabet: Alphabet, worth: float) -> Found:
    """What one line says without the other: only what is sure, for one look-alike among sure ones passes an average."""
    read = decode(line.probabilities, alphabet)
    return Found(read.text, worth * read.weakest, line) if read.weakest >= _SURE else NOTHING


def _together(upper: Line, lower: Line, alphabets: Alphabets) -> Name:
    names = _names(alternatives(upper.probabilities, alphabets.standard, _CHOICES))
    read = decode(lower.probabilities, alphabets.letters)
    if not names or not read.text:
        return Name()
    candidates = _candidates(names, read, lower, alphabets)
    whole = float(np.logaddexp.reduce([candidate.score for candidate in candidates]))
    characters: dict[str, float] = defaultdict(float)
    pinyin: dict[str, float] = defaultdict(float)
    for candidate in candidates:
        share = math.exp(candidate.score - whole)
        characters[candidate.name] += share * candidate.name_worth
        pinyin[candidate.pinyin] += share * candidate.pinyin_worth
    return Name(_best(characters, upper), _best(pinyin, lower), max(candidate.score for candidate in candidates))


def _candidates(names: list[tuple[str, float]], read: Text, lower: Line, alphabets: Alphabets) -> list[_Candidate]:
    """The names with their spellings, and last that the two lines do not say the same."""
    spelt = [(name, likely, spelling) for name, likely in names for spelling in _spellings(name)]
    texts = sorted({spelling for *_, spelling in spelt} | {read.text})
    said = dict(zip(texts, log_likelihoods(lower.probabilities, alphabets.letters, texts).tolist(), strict=True))
    matching = [_matching(name, spelling, likely, said[spelling] - said[read.text]) for name, likely, spelling in spelt]
    if any(spelling == read.text and name == names[0][0] for name, _, spelling in spelt):
        return matching
    return [*matching, _different(*names[0], read)]


def _matching(name: str, spelling: str, likely: float, support: float) -> _Candidate:
    """That the lines say this name. Letters are misread alike and surely (I, L), so half their weight is taken."""
    worth = _CORRECTED if support < _MISREAD else 1.0
    plain_worth = worth if SEPARATOR in name or len(name) <= _LONGEST_PLAIN else _SEPARATOR_MISSED
    return _Candidate(name, spelling, likely + support * _LETTERS_WEIGHT, plain_worth, worth)


def _different(name: str, likely: float, read: Text) -> _Candidate:
    """That the pinyin is not this name's: what was read of it is then a pinyin, at least."""
    improbable = 0.0 if is_spellable(read.text) else _NO_PINYIN
    worth = math.exp(likely) * (_NAME_AGAINST_PINYIN if read.weakest >= _SURE else _NAME_ALONE)
    return _Candidate(name, read.text, likely + _DIFFERENT + improbable, worth, _PINYIN_ALONE * read.weakest)


def _names(choices: Choices) -> list[tuple[str, float]]:
    """The likeliest names with the logarithm of their probability, best first."""
    names = [("", 0.0)]
    for choice in choices:
        likely = [(character, math.log(probability)) for character, probability in choice if probability > _LEAST]
        longer = [(name + character, sum_ + log) for (name, sum_), (character, log) in itertools.product(names, likely)]
        names = sorted(longer, key=lambda name: -name[1])[:_MAX_NAMES]
    return names if choices else []


def _spellings(name: str) -> list[str]:
    """The ways in which a name may be spelt."""
    said = [sorted(readings(character)) for character in name.replace(SEPARATOR, "")]
    return ["".join(parts) for parts in itertools.islice(itertools.product(*said), _MAX_SPELLINGS)]


def _best(shares: dict[str, float], line: Line) -> Found:
    value, share = max(shares.items(), key=lambda entry: entry[1])
    return Found(value, share, line) if share >= _MIN_CONFIDENCE else NOTHING
