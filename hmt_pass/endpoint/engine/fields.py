"""The seven fields out of the page of a card, and how sure each is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hmt_pass.endpoint.engine import card, choices, dates, names, proved
from hmt_pass.endpoint.engine.alphabets import Alphabets
from hmt_pass.endpoint.engine.card import Box, Kind
from hmt_pass.endpoint.engine.found import Found
from hmt_pass.endpoint.engine.page import Item, Page, title_kind
from hmt_pass.endpoint.engine.text import Line
from hmt_pass.permit import WIRE_NAMES, Permit

SURE = 0.985
"""Confidence from which a field needs no second look and no person's."""

_ANOTHER_KIND = 0.9  # confidence in a number that is not one of the card's kind
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff·]")
_NOT_A_NAME = ("通行证", "出生日期", "有效期限", "签发", "管理局", "人民共和", "出入境")
_MIN_NAME, _MAX_NAME = 2, 16
_MAX_JOINED = 12
_MIN_PINYIN = 3
_SHOWN = 0.2  # probability from which a step shows a character

PLACES: dict[str, Box] = {
    "card_num": card.NUMBER,
    "name_chn": card.NAME,
    "name_eng": card.PINYIN,
    "birthday": card.BIRTHDAY,
    "sex": card.SEX,
    "valid_date": card.VALIDITY,
    "address": card.PLACE,
}
"""Where each field of Permit is printed."""


@dataclass(frozen=True, slots=True)
class Fields:
    """What was found out about each field of Permit, by its name there."""

    kind: Kind | None
    found: dict[str, Found]

    @property
    def permit(self) -> Permit:
        """The fields as on the wire."""
        values = {name: found.value for name, found in self.found.items()}
        return Permit.from_wire({WIRE_NAMES[name]: value for name, value in values.items()})

    @property
    def doubtful(self) -> list[str]:
        """The fields that are missing or not sure."""
        return [name for name, found in self.found.items() if found.confidence < SURE]


def read(page: Page, alphabets: Alphabets) -> Fields:
    """The fields of a page."""
    number = proved.number(page, alphabets)
    birthday = proved.birthday(page, alphabets)
    name = names.read(_name_lines(page, alphabets), _pinyin_lines(page), alphabets)
    kind = page.kind or next((kind for kind in Kind if number.value.startswith(kind.prefix)), None)
    if kind and not number.value.startswith(kind.prefix):
        number = replace(number, confidence=min(number.confidence, _ANOTHER_KIND))
    found = {
        "card_num": number,
        "name_chn": name.characters,
        "name_eng": name.pinyin,
        "birthday": birthday,
        "sex": choices.sex(page, alphabets),
        "valid_date": proved.validity(page, dates.real(birthday.value), alphabets),
        "address": choices.place(page, alphabets),
    }
    return Fields(kind, found)


def _name_lines(page: Page, alphabets: Alphabets) -> list[Line]:
    return [_without_ends(item.line, alphabets) for item in page.row(card.NAME) if _can_be_name(item)]


def _without_ends(line: Line, alphabets: Alphabets) -> Line:
    """The part of the line that shows Chinese characters: what is printed beside a name can be joined to it."""
    shown = np.flatnonzero(alphabets.standard.narrow(line.probabilities)[:, 1:].max(axis=1) > _SHOWN)
    return replace(line, probabilities=line.probabilities[shown[0] : shown[-1] + 1]) if len(shown) else line


def _can_be_name(item: Item) -> bool:
    characters = "".join(_HAN.findall(item.text))
    if not _MIN_NAME <= len(characters) <= _MAX_NAME or len(item.text) > len(characters) + _MAX_JOINED:
        return False
    return not title_kind(characters) and not any(word in characters for word in _NOT_A_NAME)


def _pinyin_lines(page: Page) -> Sequence[Line]:
    return [item.line for item in page.row(card.PINYIN) if len(re.findall("[A-Za-z]", item.text)) >= _MIN_PINYIN]
