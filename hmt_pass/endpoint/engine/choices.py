"""Sex and place of issue: one of a closed list, so every entry is scored and the best one must win clearly."""

from collections.abc import Sequence

import numpy as np

from hmt_pass.endpoint.engine import card
from hmt_pass.endpoint.engine.alphabets import Alphabets
from hmt_pass.endpoint.engine.card import Box
from hmt_pass.endpoint.engine.ctc import Alphabet, log_likelihoods
from hmt_pass.endpoint.engine.found import NOTHING, Found
from hmt_pass.endpoint.engine.geometry import Floats
from hmt_pass.endpoint.engine.page import Item, Page

_SOMETHING_ELSE = -9.0
"""Log likelihood of a line by what is not in the list: an entry that is less likely was seldom there (measured)."""

_NO_SEX = 0.003
"""Probability of a character from which a sex may be what was read as something else."""

_MIN_CONFIDENCE = 0.7
_SEEN = 0.3
_JOINED = 40.0  # card units by which a line that begins before the place holds more than the place
_SEX_LEFT = 505.0
_PLACE_LEFT = 612.0
_PLACE_REACH = Box(600, 392, 790, 436)
_PLACE_OF_SEX = Box(505, 252, 605, 295)


def sex(page: Page, alphabets: Alphabets) -> Found:
    """男 or 女: the one that the lines at its place show more of, in whatever they were read as."""
    lines = [item for item in page.items if item.lies_in(_PLACE_OF_SEX, 0) or item.covers(card.SEX)]
    shown = [(_shown(item.steps_beyond(_SEX_LEFT), alphabets.sexes), item) for item in lines]
    if not shown:
        return NOTHING
    (likely, item) = max(shown, key=lambda found: float(found[0].max()))
    return _winner(card.SEXES, likely, float(likely.sum()) + _NO_SEX, item)


def _shown(steps: Floats, sexes: Alphabet) -> Floats:
    """The greatest probability of each sex at any step, in the order of card.SEXES."""
    narrowed = sexes.narrow(steps)
    return narrowed.max(axis=0)[sexes.spell("".join(card.SEXES))] if len(narrowed) else np.zeros(2, np.float32)


def place(page: Page, alphabets: Alphabets) -> Found:
    """The place of issue: the likeliest of the 31, on its own or at the end of the authority's line."""
    near = [item for item in page.items if item.lies_in(_PLACE_REACH) or _reaches_place(item)]
    found = [_entry(_after_authority(item, alphabets.bureau), item, alphabets.places) for item in near]
    return max(found, key=lambda one: one.confidence, default=NOTHING)


def _reaches_place(item: Item) -> bool:
    """Whether the line goes on from the authority to the place."""
    return item.is_on_row(card.PLACE) and item.left < card.PLACE.left < item.right - _JOINED


def _after_authority(item: Item, bureau: Alphabet) -> Floats:
    """What of the line can be the place of issue: what follows the authority's last character, or lies beyond it."""
    ends = np.flatnonzero(bureau.narrow(item.line.probabilities)[:, 1] > _SEEN)
    if len(ends):
        return item.line.probabilities[ends[-1] + 1 :]
    return item.steps_beyond(_PLACE_LEFT) if item.left < _PLACE_REACH.left - _JOINED else item.line.probabilities


def _entry(steps: Floats, item: Item, places: Alphabet) -> Found:
    if not len(steps):
        return NOTHING
    likely = np.exp(log_likelihoods(steps, places, card.PLACES) - _SOMETHING_ELSE)
    return _winner(card.PLACES, likely, float(likely.sum()) + 1.0, item)


def _winner(entries: Sequence[str], likely: np.ndarray, whole: float, item: Item) -> Found:
    best = int(likely.argmax())
    confidence = float(likely[best]) / whole
    return Found(entries[best], confidence, item.line) if confidence >= _MIN_CONFIDENCE else NOTHING
