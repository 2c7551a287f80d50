"""Lines whose text gives away where on the card they are printed."""

import re

from hmt_pass.endpoint.engine import card, dates, numbers
from hmt_pass.endpoint.engine.alphabets import Alphabets
from hmt_pass.endpoint.engine.card import Box
from hmt_pass.endpoint.engine.layout import Anchor, Known
from hmt_pass.endpoint.engine.page import code_of, likeness, normalise, title_kind
from hmt_pass.endpoint.engine.text import Line

_SAME = 0.7
_PINYIN = re.compile(r"[A-Z]{2,},[A-Z]{2,}")
_KNOWN = {card.TITLE: Known.ENDS, card.NUMBER: Known.MIDDLE}
_MAX_DATE_LENGTH = 11  # 1990年02月01日


def anchor_of(line: Line, alphabets: Alphabets) -> Anchor | None:
    """The place on the card that the line's text belongs to, with where the line was seen; None for most lines."""
    if code_of(line, alphabets):
        return Anchor(card.MACHINE_READABLE, line.corners)
    text = normalise(line.text)
    if _PINYIN.fullmatch(text):
        return Anchor(card.PINYIN, line.corners, Known.START_ALONE)
    box = _printed_at(text)
    return Anchor(box, line.corners, _KNOWN.get(box, Known.START)) if box else None


def _printed_at(text: str) -> Box | None:
    if title_kind(text):
        return card.TITLE
    if numbers.find(text):
        return card.NUMBER
    if dates.find_span(text):
        return card.VALIDITY
    if len(text) <= _MAX_DATE_LENGTH and len(dates.find(text)) == 1:
        return card.BIRTHDAY
    same_length = ((label, box) for label, box in card.LABELS.items() if len(label) == len(text))
    return next((box for label, box in same_length if likeness(text, label) >= _SAME), None)
