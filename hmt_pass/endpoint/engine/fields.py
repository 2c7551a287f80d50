"""The seven fields out of the lines of a card.

What a line says decides first; where that is not enough (name, sex, place of issue), where it is printed. The
machine-readable line confirms or repairs number, birthday and validity: its check digits catch every wrong digit.
"""

import re
from dataclasses import dataclass
from datetime import date

from hmt_pass.endpoint.engine import card, dates, names
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.machine_readable import check_digit
from hmt_pass.endpoint.engine.names import Name
from hmt_pass.endpoint.engine.page import Item, Page, likeness, title_kind
from hmt_pass.endpoint.engine.recognition import Alphabet
from hmt_pass.permit import Permit

_NUMBER = re.compile(r"([CL])([A-HJ-NP-Z0-9])(\d{7})")
_DIGIT_FOR = str.maketrans("OQDILZSBG", "000112586")
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff·]")
_PINYIN = re.compile(r"[A-Z]+,[A-Z]+")
_NOT_A_NAME = ("通行证", "出生", "日期", "性别", "期限", "签发", "机关", "地点", "管理局", "人民", "出入境", "样本")
_MARGIN = 24.0
_SAME_PLACE = 0.6
_MIN_NAME, _MAX_NAME = 2, 16


@dataclass(frozen=True, slots=True)
class Alphabets:
    """What the lines of a card can spell: standard characters, capitals, the machine-readable line's characters."""

    standard: Alphabet
    letters: Alphabet
    codes: Alphabet


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one look at a card, and how far they prove each other."""

    kind: Kind | None
    permit: Permit
    names_agree: bool
    checks: int
    """How many of the four check digits of the machine-readable line agree."""

    @property
    def complete(self) -> bool:
        """Whether all seven fields are there and prove each other, so that a second look is not worth its time."""
        return all(self.permit.to_wire().values()) and self.names_agree and self.checks == 4  # noqa: PLR2004  all of them


def read(page: Page, alphabets: Alphabets) -> Fields:
    """The fields of a page."""
    number = _number(page)
    birth, span = _birthday(page), _span(page)
    name = _name(page, alphabets)
    permit = Permit(
        card_num=number,
        name_chn=name.characters,
        name_eng=name.pinyin,
        birthday=dates.wire(birth) if birth else "",
        sex=_sex(page),
        valid_date="-".join(map(dates.wire, span)) if span else "",
        address=_place(page),
    )
    kind = page.kind or next((kind for kind in Kind if number.startswith(kind.prefix)), None)
    return Fields(kind, permit, name.agree, page.machine_readable.strength if page.machine_readable else 0)


def _han(text: str) -> str:
    return "".join(_HAN.findall(text))


def _number(page: Page) -> str:
    printed = max(filter(None, map(_printed_number, page.items)), default=(0.0, ""))[1]
    coded = page.machine_readable.number if page.machine_readable else None
    if coded is None or not printed:
        return coded or printed
    # 6 and G are alike, and alike to the check digit too: there the larger print decides.
    same = printed[0] + printed[2:] == coded[0] + coded[2:] and check_digit(printed) == check_digit(coded)
    return printed if same else coded


def _printed_number(item: Item) -> tuple[float, str] | None:
    text = re.sub(r"[^A-Z0-9]", "", item.text.upper())
    if len(text) != 9:  # noqa: PLR2004  a number's length
        return None
    second = text[1].translate(_DIGIT_FOR) if text[0] == "L" or text[1] in "IO" else text[1]
    match = _NUMBER.fullmatch(text[0].replace("G", "C") + second + text[2:].translate(_DIGIT_FOR))
    return (item.line.confidence, match[0]) if match else None


def _span(page: Page) -> tuple[date, date] | None:
    """First and last day of validity."""
    spans = [span for span in (dates.find_span(item.text) for item in page.items) if span]
    printed = next((span for span in spans if dates.is_term(*span)), spans[0] if spans else None)
    coded = page.machine_readable and page.machine_readable.expiry
    last = dates.expiry_of(coded) if coded else None
    if last is None or (printed and printed[1] == last and dates.is_term(*printed)):
        return printed
    return _span_until(last, printed, _birthday(page))


def _span_until(last: date, printed: tuple[date, date] | None, birth: date | None) -> tuple[date, date] | None:
    """The validity that ends on `last`: as printed if that can be, else the one term that the holder's age allows."""
    if printed and dates.is_term(printed[0], last):
        return printed[0], last
    starts = [start for years in (10, 5) if (start := dates.start_of(last, years)) and dates.is_term(start, last)]
    if birth:
        starts = [start for start in starts if last == dates.last_of(start, dates.term_years(birth, start))]
    return (starts[0], last) if len(starts) == 1 else None


def _birthday(page: Page) -> date | None:
    printed = _printed_birthday(page)
    coded = page.machine_readable and page.machine_readable.birth
    if not coded or (printed and f"{printed:%y%m%d}" == coded):
        return printed
    return dates.birth_of(coded, _issued_by(page))


def _printed_birthday(page: Page) -> date | None:
    """The one date that stands alone on its line, above the validity; the earliest of several."""
    spans = [dates.find_span(item.text) for item in page.items]
    days = [day for item, span in zip(page.items, spans, strict=True) if not span for day in dates.find(item.text)]
    issued = _issued_by(page)
    return min((day for day in days if day <= issued), default=None)


def _issued_by(page: Page) -> date:
    """A day that the holder was born before: the first day of validity, or the last one when that is not read."""
    spans = [span for span in (dates.find_span(item.text) for item in page.items) if span]
    coded = page.machine_readable and page.machine_readable.expiry
    last = dates.expiry_of(coded) if coded else None
    return spans[0][0] if spans else last or date.max


def _sex(page: Page) -> str:
    near = [item for item in page.items if item.lies_in(card.SEX, _MARGIN)]
    for item in (*near, *page.items):
        found = re.fullmatch(r"(?:性别|[\d.]{8,})?([男女])", item.text)
        if found:
            return found[1]
    return ""


def _place(page: Page) -> str:
    """The place of issue: of the closed list, and printed where it belongs, or at the end of the authority's line."""
    candidates = []
    for item in page.items:
        text = _han(item.text)
        if "局" in text:
            text = text.rpartition("局")[2]
        elif page.transform is not None and not item.lies_in(card.PLACE, _MARGIN):
            continue
        if text:
            candidates += [(likeness(text, place), item.line.confidence, place) for place in card.PLACES]
    alike, _, place = max(candidates, default=(0.0, 0.0, ""))
    return place if alike > _SAME_PLACE else ""


def _name(page: Page, alphabets: Alphabets) -> Name:
    characters = [item for item in page.items if _can_be_name(page, item)]
    latin = [item for item in page.items if _PINYIN.fullmatch(item.text.replace(".", ","))]
    latin = latin or [item for item in page.items if item.text.isascii() and item.lies_in(card.PINYIN)]
    pairs = [
        names.read(upper.line, lower.line, alphabets.standard, alphabets.letters)
        for upper in characters
        for lower in latin
    ]
    agreeing = next((name for name in pairs if name.agree), None)
    if agreeing:
        return agreeing
    upper = max(characters, key=lambda item: item.line.confidence, default=None)
    lower = max(latin, key=lambda item: item.line.confidence, default=None)
    lines = (upper.line if upper else None, lower.line if lower else None)
    return names.read(*lines, alphabets.standard, alphabets.letters)


def _can_be_name(page: Page, item: Item) -> bool:
    text = _han(item.text)
    if not _MIN_NAME <= len(text) <= _MAX_NAME or len(item.text) > len(text) + 1:
        return False
    if title_kind(text) or any(word in text for word in _NOT_A_NAME) or text in card.PLACES:
        return False
    return page.transform is None or item.lies_in(card.NAME, _MARGIN)
