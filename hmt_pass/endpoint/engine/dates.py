"""Dates as the card prints them (2019.01.18) and as the wire has them (20190118)."""

import re
from datetime import date, timedelta

_DATE = re.compile(r"(?<!\d)([12]\d{3})\D?([01]\d)\D?([0-3]\d)(?!\d)")
_LOOK_ALIKES = str.maketrans("OoQDIlLZSBG", "00001112586")
_ADULT_YEARS, _CHILD_YEARS = 10, 5
_ADULT_AGE = 16


def wire(day: date) -> str:
    """YYYYMMDD."""
    return f"{day:%Y%m%d}"


def real(text: str) -> date | None:
    """The day that YYYYMMDD names, or None when there is no such day."""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def find(text: str) -> list[date]:
    """The real dates in a line, from left to right; letters that look like digits are taken for them."""
    found = (real("".join(parts)) for parts in _DATE.findall(text.translate(_LOOK_ALIKES)))
    return [day for day in found if day]


def find_span(text: str) -> tuple[date, date] | None:
    """The two dates of a validity line; None when the line holds something else."""
    days = find(text)
    if len(days) != 2:  # noqa: PLR2004  from and to
        digits = re.sub(r"\D", "", text.translate(_LOOK_ALIKES))
        days = [day for day in (real(digits[:8]), real(digits[8:])) if day] if len(digits) == 16 else []  # noqa: PLR2004
    return (days[0], days[1]) if len(days) == 2 and days[0] < days[1] else None  # noqa: PLR2004


def start_of(last_day: date, years: int) -> date | None:
    """First day of a validity of whole years; None where the calendar has no such day."""
    after = last_day + timedelta(days=1)
    try:
        return after.replace(year=after.year - years)
    except ValueError:  # the day after is 29 February
        return None


def starts_of(last_day: date) -> list[date]:
    """The first days of the validities that can end on `last_day`, the longer one first."""
    starts = [start for years in (_ADULT_YEARS, _CHILD_YEARS) if (start := start_of(last_day, years))]
    leap_days = [start - timedelta(days=1) for start in starts]  # begun on 29 February, it ends as if on 1 March
    return [day for day in (*starts, *leap_days) if is_term(day, last_day)]


def last_of(first_day: date, years: int) -> date:
    """Last day of a validity of whole years: the day before the anniversary."""
    try:
        anniversary = first_day.replace(year=first_day.year + years)
    except ValueError:  # begun on 29 February
        anniversary = date(first_day.year + years, 3, 1)
    return anniversary - timedelta(days=1)


def is_term(first_day: date, last_day: date) -> bool:
    """Whether a permit can be valid for this time: ten years, five for who was under 16."""
    return last_day in {last_of(first_day, _ADULT_YEARS), last_of(first_day, _CHILD_YEARS)}


def term_years(birth: date, issued: date) -> int:
    """For how many years a permit is issued to a person of that age."""
    birthday = (birth.month, birth.day)
    age = issued.year - birth.year - ((issued.month, issued.day) < birthday)
    return _CHILD_YEARS if age < _ADULT_AGE else _ADULT_YEARS


def birth_of(yymmdd: str, no_later_than: date) -> date | None:
    """A birth date with its century: the latest one that is not after `no_later_than`."""
    days = (real(f"{century}{yymmdd}") for century in (20, 19))
    return next((day for day in days if day and day <= no_later_than), None)


def earlier_century(day: date) -> date | None:
    """The same day a hundred years before; None when the calendar does not have it."""
    return real(f"{day.year - 100}{day:%m%d}")


def expiry_of(yymmdd: str) -> date | None:
    """A last day of validity with its century: these permits exist since 2014."""
    return real(f"20{yymmdd}")
