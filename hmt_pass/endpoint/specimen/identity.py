"""An invented permit: what is printed on it, and its truth on the wire."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from hmt_pass.endpoint.engine import card, dates, machine_readable
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.specimen.people import PersonName, invent_name
from hmt_pass.permit import Permit

_FIRST_ISSUE, _LAST_ISSUE = date(2015, 1, 1), date(2026, 6, 30)
_NEW_AUTHORITY = date(2018, 9, 1)
_LETTERS_SINCE = date(2018, 12, 1)
_NUMBER_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_MAX_AGE_DAYS = 85 * 365
_MIN_AGE_DAYS = 30


@dataclass(frozen=True, slots=True)
class Identity:
    """One permit of nobody."""

    kind: Kind
    name: PersonName
    number: str
    sex: str
    birth: date
    issued: date
    expires: date
    place: str

    @property
    def permit(self) -> Permit:
        """The truth, in the wire's form."""
        return Permit(
            card_num=self.number,
            name_chn=self.name.characters,
            name_eng=self.name.pinyin.replace(",", ""),
            birthday=dates.wire(self.birth),
            sex=self.sex,
            valid_date=f"{dates.wire(self.issued)}-{dates.wire(self.expires)}",
            address=self.place,
        )

    @property
    def authority(self) -> str:
        """The issuing authority, as it was called on the day of issue."""
        return card.AUTHORITIES[self.issued >= _NEW_AUTHORITY]

    @property
    def machine_readable(self) -> str:
        """The machine-readable line."""
        return machine_readable.compose(self.kind, self.number, f"{self.expires:%y%m%d}", f"{self.birth:%y%m%d}")


def invent(rng: random.Random, kinds: Sequence[Kind] = tuple(Kind)) -> Identity:
    """A permit of one of `kinds`. The same state of `rng` gives the same permit."""
    kind = rng.choice(kinds)
    issued = _day(rng, _FIRST_ISSUE, _LAST_ISSUE)
    birth = _day(rng, issued - timedelta(_MAX_AGE_DAYS), issued - timedelta(_MIN_AGE_DAYS))
    return Identity(
        kind=kind,
        name=invent_name(rng),
        number=_number(rng, kind, issued),
        sex=rng.choice(card.SEXES),
        birth=birth,
        issued=issued,
        expires=dates.last_of(issued, dates.term_years(birth, issued)),
        place=rng.choice(card.PLACES),
    )


def _day(rng: random.Random, first: date, last: date) -> date:
    return first + timedelta(rng.randrange((last - first).days + 1))


def _number(rng: random.Random, kind: Kind, issued: date) -> str:
    """C and 8 digits, since December 2018 C, a letter and 7 digits; Taiwan L and 8 digits."""
    lettered = kind is Kind.HK_MACAU and issued >= _LETTERS_SINCE
    second = rng.choice(_NUMBER_LETTERS) if lettered else str(rng.randrange(10))
    return f"{kind.prefix}{second}{rng.randrange(10**7):07d}"
