"""What is printed on a permit and what the endpoint says about it: `Permit`, `Flag`, `Reply`.

The wire names (`cardNum`, `nameChn`, ...) appear here and nowhere else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from enum import IntEnum, StrEnum
from typing import Any, Self

from hmt_pass import codes

WIRE_NAMES = {
    "card_num": "cardNum",
    "name_chn": "nameChn",
    "name_eng": "nameEng",
    "birthday": "birthday",
    "sex": "sex",
    "valid_date": "validDate",
    "address": "address",
}


class Flag(IntEnum):
    """`hmt_flag`: which permit to look for (API text, section 2)."""

    HK_AND_MACAU = 0
    HK = 1
    MACAU = 2
    TAIWAN = 3


class Sex(StrEnum):
    """The sex printed on the permit."""

    MALE = "male"
    FEMALE = "female"


_SEXES = {"男": Sex.MALE, "女": Sex.FEMALE}


def _parse_date(text: str) -> date | None:
    """A date out of YYYYMMDD with or without separators; None when it is not a real date."""
    match = re.fullmatch(r"(\d{4})[.\-/年]?(\d{2})[.\-/月]?(\d{2})日?", text.strip())
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def _parse_range(text: str) -> tuple[date | None, date | None]:
    """Start and end out of YYYYMMDD-YYYYMMDD, each date with or without separators; (None, None) otherwise."""
    match = re.fullmatch(r"(.{8}|.{10})\s*[-—~至]\s*(.{8}|.{10})", text.strip())
    return (_parse_date(match[1]), _parse_date(match[2])) if match else (None, None)


@dataclass(frozen=True, slots=True)
class Permit:
    """The seven fields of a permit as the endpoint wrote them, with normalised values beside.

    Raw fields are strings, empty when the endpoint left them out. A normalised value is None when its raw field is
    empty or does not parse; `problems` names the fields that did not parse. `extra` keeps the keys we do not know.
    """

    card_num: str = ""
    name_chn: str = ""
    name_eng: str = ""
    birthday: str = ""
    sex: str = ""
    valid_date: str = ""
    address: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, words: Mapping[str, Any]) -> Self:
        """A permit out of the object that holds `cardNum` and its siblings; null is empty, a number is its text."""
        known = {name: _text(words.get(wire)) for name, wire in WIRE_NAMES.items()}
        extra = {key: value for key, value in words.items() if key not in {*WIRE_NAMES.values(), "image_id"}}
        return cls(**known, extra=extra)

    def to_wire(self) -> dict[str, str]:
        """The seven fields under their wire names, in the order of the API text."""
        return {wire: getattr(self, name) for name, wire in sorted(WIRE_NAMES.items(), key=lambda item: item[1])}

    @property
    def birth_date(self) -> date | None:
        """Day of birth."""
        return _parse_date(self.birthday)

    @property
    def sex_enum(self) -> Sex | None:
        """Sex as an enum."""
        return _SEXES.get(self.sex.strip())

    @property
    def valid_from(self) -> date | None:
        """First day of validity."""
        return _parse_range(self.valid_date)[0]

    @property
    def valid_to(self) -> date | None:
        """Last day of validity, included."""
        return _parse_range(self.valid_date)[1]

    def expired_on(self, day: date) -> bool | None:
        """Whether the permit is no longer valid on `day`; None when its last day is not known."""
        return day > self.valid_to if self.valid_to else None

    @property
    def problems(self) -> tuple[str, ...]:
        """Wire names of the fields that hold text which does not parse."""
        parsed = {
            "birthday": self.birth_date,
            "sex": self.sex_enum,
            "valid_date": self.valid_from and self.valid_to,
        }
        return tuple(WIRE_NAMES[name] for name, value in parsed.items() if getattr(self, name) and value is None)

    def normalised(self) -> dict[str, str | None]:
        """The normalised values as JSON: ISO dates, sex; None where a value is missing or does not parse."""
        values = {
            "birth_date": self.birth_date,
            "sex": self.sex_enum,
            "valid_from": self.valid_from,
            "valid_to": self.valid_to,
        }
        return {name: str(value) if value else None for name, value in values.items()}

    def __repr__(self) -> str:
        """Names the filled fields, never their content: this text ends up in logs and tracebacks."""
        filled = [item.name for item in fields(self) if item.name in WIRE_NAMES and getattr(self, item.name)]
        return f"<Permit {' '.join(filled)}>"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the endpoint, whatever its business code.

    `charge` is 1 when the call was charged, 2 when not, None when the answer does not say. `image` names the parameter
    that a code 1004 or 1013-1016 speaks of, `reason` explains 1002 and 1008. `permit` is None when the answer has none
    of its seven fields. `raw` is the whole body. `clock_skew_s` is how far the endpoint's clock is ahead of
    ours, by its `Date` header, None without one.
    """

    code: str
    msg: str = ""
    request_id: str = ""
    charge: int | None = None
    reason: str = ""
    image: str = ""
    image_id: str = ""
    permit: Permit | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    clock_skew_s: float | None = field(default=None, compare=False)

    @classmethod
    def from_wire(cls, body: Mapping[str, Any]) -> Self:
        """An answer out of the JSON object of the response body.

        The API text gives two shapes: the fields flat in `data` (its example) or under `data.words_result` (its
        table); both are read. Raises ValueError when `code` is missing.
        """
        if not _text(body.get("code")):
            msg = "the answer has no code"
            raise ValueError(msg)
        data = _object(body.get("data"))
        words = _object(data.get("words_result")) or data
        code = _text(body["code"])
        return cls(
            code=code.zfill(4),
            msg=_text(body.get("msg")),
            request_id=_text(body.get("request_id")),
            charge=_charge(body.get("charge")),
            reason=_text(body.get("reason")),
            image=_text(body.get("image")),
            image_id=_text(words.get("image_id") or data.get("image_id")),
            permit=Permit.from_wire(words) if words.keys() & WIRE_NAMES.values() else None,
            raw=body,
        )

    @property
    def disposition(self) -> codes.Disposition:
        """What to do with the job."""
        return codes.disposition(self.code)

    @property
    def charged(self) -> bool:
        """Whether the call cost money: as the answer says, and by its code when it does not (API text, section 3)."""
        return self.charge == 1 or (self.charge is None and self.code == codes.Code.OK.value)


def _text(value: object) -> str:
    # Half of a surrogate pair, of a name cut by a Java service for one, cannot be written anywhere: it becomes `?`.
    return "" if value is None else str(value).encode(errors="replace").decode()


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _charge(value: object) -> int | None:
    return int(_text(value)) if _text(value) in {"1", "2"} else None
