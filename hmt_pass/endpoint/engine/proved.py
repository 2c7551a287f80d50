"""Number, birthday and validity: printed, and coded in the machine-readable line, so that each proves the other.

A part of the machine-readable line is believed only with its check digit, which catches every single wrong digit. It
is proved by a printed line that can be read so. The confidences below are judgement, not fitted (docs/decisions.md).
"""

from collections.abc import Iterable
from datetime import date

from hmt_pass.endpoint.engine import card, dates, numbers
from hmt_pass.endpoint.engine.alphabets import Alphabets
from hmt_pass.endpoint.engine.ctc import Alphabet, decode, support
from hmt_pass.endpoint.engine.found import NOTHING, PROVED, Found
from hmt_pass.endpoint.engine.machine_readable import check_digit
from hmt_pass.endpoint.engine.page import Item, Page
from hmt_pass.endpoint.engine.text import Line

_ALL_CHECKS = 4
_CODED_WHOLE, _CODED = 0.98, 0.93
_PRINTED = 0.95
_CONTRADICTED = 0.9
_DEDUCED = 0.9
_DOUBTFUL = 0.6

_CAN_BE_READ = -4.0
"""Support from which a printed line does not contradict the code: one digit of it may be blurred, not two."""

Span = tuple[date, date]
"""First and last day of validity."""


def number(page: Page, alphabets: Alphabets) -> Found:
    """The number of the permit."""
    lines = {number: item.line for item in page.items if (number := numbers.find(item.text))}
    narrow = {decode(item.line.probabilities, alphabets.codes).text: item.line for item in page.row(card.NUMBER)}
    lines = {numbers.find(text): line for text, line in narrow.items() if numbers.find(text)} | lines
    printed = max(lines, key=lambda number: lines[number].confidence, default="")
    line = lines.get(printed)
    coded = page.machine_readable.number if page.machine_readable else None
    if not coded:
        return Found(printed, _PRINTED * line.confidence, line) if line else NOTHING
    if proof := lines.get(coded) or _proof((*lines.values(), *narrow.values()), coded, alphabets.codes):
        return Found(coded, PROVED, proof)
    # 6 and G are alike, and alike to the check digit too: there the larger print decides.
    if printed and printed[0] + printed[2:] == coded[0] + coded[2:] and check_digit(printed) == check_digit(coded):
        return Found(printed, _CONTRADICTED, line)
    return Found(coded, _CONTRADICTED if printed else _coded(page), line)


def birthday(page: Page, alphabets: Alphabets) -> Found:
    """The holder's day of birth."""
    issued = _issued_by(page)
    lines = {day: item.line for item in _beside_spans(page) for day in dates.find(item.text) if day <= issued}
    row = [item.line for item in page.row(card.BIRTHDAY)]
    narrow = ((dates.find(decode(line.probabilities, alphabets.dates).text), line) for line in row)
    lines = {day: line for days, line in narrow for day in days if day <= issued} | lines
    printed = min(lines, default=None)
    coded = page.machine_readable.birth if page.machine_readable else None
    known = dates.birth_of(coded, issued) if coded else None
    if not known:
        return Found(dates.wire(printed), _PRINTED * lines[printed].confidence, lines[printed]) if printed else NOTHING
    # Who is older than a hundred is told from a child by the print alone.
    candidates = [day for day in (known, dates.earlier_century(known)) if day]
    for day in candidates:
        if proof := lines.get(day) or _proof(row, dates.wire(day), alphabets.digits):
            return Found(dates.wire(day), PROVED, proof)
    return Found(dates.wire(known), _CONTRADICTED if printed else _coded(page), lines.get(printed) if printed else None)


def validity(page: Page, birth: date | None, alphabets: Alphabets) -> Found:
    """First and last day of validity; `birth` is the holder's day of birth, as far as it is known."""
    row = [item.line for item in page.row(card.VALIDITY)]
    narrow = ((dates.find_span(decode(line.probabilities, alphabets.dates).text), line) for line in row)
    lines = {span: line for span, line in narrow if span} | _spans(page)
    printed = max(lines, key=lambda span: dates.is_term(*span), default=None)
    last = _coded_last(page)
    if last is None:
        return _printed_alone(printed, lines[printed]) if printed else NOTHING
    for span in _terms_until(last):
        if proof := lines.get(span) or _proof(row, "".join(map(dates.wire, span)), alphabets.digits):
            return _span(span, PROVED if _suits(span, birth) else _PRINTED, proof)
    line = lines.get(printed) if printed else None
    if printed and dates.is_term(printed[0], last):
        return _span((printed[0], last), _PRINTED, line)
    suiting = [span for span in _terms_until(last) if _suits(span, birth)]
    return _span(suiting[0], _DEDUCED, line) if len(suiting) == 1 else NOTHING


def _proof(lines: Iterable[Line], text: str, alphabet: Alphabet) -> Line | None:
    """A line that can be read as `text`."""
    return next((line for line in lines if support(line.probabilities, alphabet, text) >= _CAN_BE_READ), None)


def _coded(page: Page) -> float:
    """Confidence in what the machine-readable line alone says."""
    return _CODED_WHOLE if page.machine_readable and page.machine_readable.strength == _ALL_CHECKS else _CODED


def _beside_spans(page: Page) -> list[Item]:
    return [item for item in page.items if not item.code and not dates.find_span(item.text)]


def _spans(page: Page) -> dict[Span, Line]:
    return {span: item.line for item in page.items if not item.code and (span := dates.find_span(item.text))}


def _issued_by(page: Page) -> date:
    """A day that the holder was born before: the first day of validity, or the last one when that is not read."""
    return min((span[0] for span in _spans(page)), default=None) or _coded_last(page) or date.max


def _coded_last(page: Page) -> date | None:
    coded = page.machine_readable.expiry if page.machine_readable else None
    return dates.expiry_of(coded) if coded else None


def _printed_alone(printed: Span, line: Line) -> Found:
    return _span(printed, (_PRINTED if dates.is_term(*printed) else _DOUBTFUL) * line.confidence, line)


def _terms_until(last: date) -> list[Span]:
    """The validities that can end on `last`."""
    return [(start, last) for start in dates.starts_of(last)]


def _suits(span: Span, birth: date | None) -> bool:
    """Whether a holder of that age gets a permit for that time; a holder of unknown age may."""
    return birth is None or span[1] == dates.last_of(span[0], dates.term_years(birth, span[0]))


def _span(span: Span, confidence: float, line: Line | None) -> Found:
    return Found("-".join(map(dates.wire, span)), confidence, line)
