"""The machine-readable line: 30 characters in OCR-B at the foot of the card.

    CSC123456786<3001311<9002011<2
    0 CS or CD   2 number   11 check   13 expiry YYMMDD   19 check   21 birth YYMMDD   27 check   29 check over all

Check digits as in ICAO 9303: weights 7, 3, 1; A is 10, < is 0; modulo 10. The layout agrees with published specimens.
"""

import re
from dataclasses import dataclass

from hmt_pass.endpoint.engine.card import Kind

CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789<"

_WEIGHTS = (7, 3, 1)
# Letters that the recognizer takes for a digit's look-alike, and the way back.
_AS_DIGIT = str.maketrans("OQDUILJTZSBGAEP", "000011172586469")
_AS_LETTER = {"8": "B", "0": "DQU", "5": "S", "2": "Z", "6": "G", "4": "A", "1": "LJT", "7": "T"}
_NO_LETTER = frozenset("IO")  # never in a number, so that they are not taken for 1 and 0
_LAYOUT = re.compile(
    r"(?P<document>C[A-Z0-9])(?P<number>[A-Z0-9]{10})[<KCX]{0,2}"
    r"(?P<expiry>[A-Z0-9]{7})[<KCX]{0,2}(?P<birth>[A-Z0-9]{7})[<KCX]{0,2}(?P<check>[A-Z0-9])"
)


def check_digit(text: str) -> str:
    """The check digit over letters, digits and fillers."""
    total = sum(_value(character) * _WEIGHTS[i % 3] for i, character in enumerate(text))
    return str(total % 10)


def _value(character: str) -> int:
    return 0 if character == "<" else int(character, 36)


def compose(kind: Kind, number: str, expiry: str, birth: str) -> str:
    """The line for a number of 9 characters and two dates YYMMDD."""
    parts = [part + check_digit(part) for part in (number, expiry, birth)]
    return f"{kind.document}{'<'.join(parts)}<{check_digit(''.join(parts))}"


@dataclass(frozen=True, slots=True)
class MachineReadable:
    """What the line says. A part whose check digit does not agree is None."""

    kind: Kind
    number: str | None
    expiry: str | None
    birth: str | None
    whole: bool
    """Whether the check over everything agrees too."""

    @property
    def strength(self) -> int:
        """How many of the four check digits agree."""
        return sum(part is not None for part in (self.number, self.expiry, self.birth)) + self.whole


def parse(text: str) -> MachineReadable | None:
    """The line in `text`, repaired where a letter stands for a digit; None when `text` has not its layout.

    Fillers may be missing, doubled or taken for a letter. At least one check digit must agree.
    """
    squeezed = re.sub(r"[^A-Z0-9<]", "", text.upper())
    candidates = [_read(match) for match in _matches(squeezed)]
    best = max(candidates, key=lambda line: line.strength, default=None)
    return best if best and best.strength else None


def _matches(squeezed: str) -> list[re.Match[str]]:
    found = (_LAYOUT.match(squeezed, start) for start in range(max(1, len(squeezed) - 24)))
    return [match for match in found if match]


def _read(match: re.Match[str]) -> MachineReadable:
    kind = Kind.TAIWAN if match["document"][1] in "D0OQ" else Kind.HK_MACAU
    number, number_check = _number(kind, match["number"])
    expiry, birth = (match[part].translate(_AS_DIGIT) for part in ("expiry", "birth"))
    check = match["check"].translate(_AS_DIGIT)
    return MachineReadable(
        kind,
        number if number_check == check_digit(number) else None,
        _checked(expiry),
        _checked(birth),
        check_digit(number + number_check + expiry + birth) == check,
    )


def _checked(part: str) -> str | None:
    """A date without its check digit, None when that does not agree."""
    return part[:6] if part.isdecimal() and check_digit(part[:6]) == part[6] else None


def _number(kind: Kind, part: str) -> tuple[str, str]:
    """The number and its check digit, in the spelling that agrees with it, else as it was read."""
    second, digits = part[1], part[2:].translate(_AS_DIGIT)
    spellings = [kind.prefix + character + digits[:7] for character in _second_characters(kind, second)]
    agreeing = (number for number in spellings if check_digit(number) == digits[7])
    return next(agreeing, spellings[0]), digits[7]


def _second_characters(kind: Kind, read: str) -> list[str]:
    """What the second character of a number can be: digits always, letters only on newer HK and Macau permits."""
    digit = read.translate(_AS_DIGIT)
    if kind is Kind.TAIWAN or read in _NO_LETTER:
        return [digit]
    return list(dict.fromkeys([read, digit, *_AS_LETTER.get(read, "")]))
