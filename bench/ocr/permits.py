"""A permit of nobody: what is printed on it, down to the machine-readable line, and the truth about it."""

import random
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from bench.ocr.names import Name, invent_name
from hmt_pass.permit import Permit

PLACES = (
    "北京", "天津", "上海", "重庆", "河北", "山西", "辽宁", "吉林", "黑龙江", "江苏", "浙江", "安徽", "福建", "江西",
    "山东", "河南", "湖北", "湖南", "广东", "海南", "四川", "贵州", "云南", "陕西", "甘肃", "青海", "内蒙古", "广西",
    "西藏", "宁夏", "新疆",
)  # fmt: skip

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # without I and O
_FIRST_LETTERED = date(2018, 12, 1)
_FIRST_OF_NEW_AUTHORITY = date(2018, 9, 1)
_LAST_ISSUE = date(2026, 8, 31)
_OF_AGE = 16
_CHILDREN = 0.1
_YEAR_DAYS = 365.25
_WEIGHTS = (7, 3, 1)


class Kind(StrEnum):
    """The two permits. Hong Kong and Macau share one."""

    HK_MACAU = "hk_macau"
    TAIWAN = "taiwan"

    @property
    def heading(self) -> str:
        """The printed title."""
        return "往来台湾通行证" if self is Kind.TAIWAN else "往来港澳通行证"

    @property
    def document(self) -> str:
        """The first two characters of the machine-readable line."""
        return "CD" if self is Kind.TAIWAN else "CS"

    @property
    def first_issue(self) -> date:
        """From when on it has been issued as a card."""
        return date(2016, 12, 26) if self is Kind.TAIWAN else date(2014, 5, 20)


def check_digit(text: str) -> str:
    """The check digit of a part of the line (ICAO 9303): weights 7, 3, 1, letters from A = 10, `<` = 0, modulo 10."""
    values = (0 if character == "<" else int(character, 36) for character in text)
    return str(sum(value * _WEIGHTS[place % 3] for place, value in enumerate(values)) % 10)


def machine_readable(document: str, number: str, expiry: str, birth: str) -> str:
    """The 30 characters; the dates are YYMMDD."""
    parts = [part + check_digit(part) for part in (number, expiry, birth)]
    return f"{document}{'<'.join(parts)}<{check_digit(''.join(parts))}"


@dataclass(frozen=True, slots=True)
class Printed:
    """Everything on one card."""

    kind: Kind
    number: str
    name: Name
    sex: str
    birth: date
    issued: date
    expires: date
    place: str

    @property
    def authority(self) -> str:
        """The issuing authority under its name of that day."""
        new = self.issued >= _FIRST_OF_NEW_AUTHORITY
        return "中华人民共和国出入境管理局" if new else "公安部出入境管理局"

    @property
    def line(self) -> str:
        """The machine-readable line."""
        return machine_readable(self.kind.document, self.number, f"{self.expires:%y%m%d}", f"{self.birth:%y%m%d}")

    @property
    def han(self) -> str:
        """Every Chinese character that the card's own values need."""
        return self.name.characters + self.sex + self.place + self.authority + self.kind.heading

    @property
    def truth(self) -> Permit:
        """The seven fields as the wire has them."""
        return Permit(
            card_num=self.number,
            name_chn=self.name.characters,
            name_eng=self.name.pinyin.replace(",", ""),
            birthday=f"{self.birth:%Y%m%d}",
            sex=self.sex,
            valid_date=f"{self.issued:%Y%m%d}-{self.expires:%Y%m%d}",
            address=self.place,
        )


def invent(rng: random.Random) -> Printed:
    """A permit of nobody."""
    kind = Kind.TAIWAN if rng.random() < 1 / 3 else Kind.HK_MACAU
    issued = kind.first_issue + timedelta(rng.randrange((_LAST_ISSUE - kind.first_issue).days))
    age_years = rng.uniform(0.1, _OF_AGE) if rng.random() < _CHILDREN else rng.triangular(_OF_AGE, 88, 35)
    birth = issued - timedelta(int(age_years * _YEAR_DAYS) + 1)
    return Printed(
        kind=kind,
        number=_number(rng, kind, issued),
        name=invent_name(rng),
        sex=rng.choice("男女"),
        birth=birth,
        issued=issued,
        expires=_last_day(issued, 5 if _age(birth, issued) < _OF_AGE else 10),
        place=rng.choice(PLACES),
    )


def _number(rng: random.Random, kind: Kind, issued: date) -> str:
    if kind is Kind.TAIWAN:
        return f"L{rng.randrange(10**8):08d}"
    second = rng.choice(_LETTERS) if issued >= _FIRST_LETTERED else str(rng.randrange(10))
    return f"C{second}{rng.randrange(10**7):07d}"


def _age(birth: date, day: date) -> int:
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def _last_day(first: date, years: int) -> date:
    """The day before the anniversary; 29 February has one on 1 March."""
    later = first + timedelta((first.month, first.day) == (2, 29))
    return later.replace(year=first.year + years) - timedelta(1)
