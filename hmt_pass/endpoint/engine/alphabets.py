"""What the lines of a card can spell."""

from dataclasses import dataclass
from typing import Self

from hmt_pass.endpoint.engine import card, machine_readable, pinyin
from hmt_pass.endpoint.engine.ctc import Alphabet

_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class Alphabets:
    """An alphabet for each kind of line."""

    standard: Alphabet
    """The standard characters and the dot between the parts of a name."""
    letters: Alphabet
    """Capitals. What stands between the parts of a pinyin name is not spelled."""
    codes: Alphabet
    """Of the machine-readable line."""
    dates: Alphabet
    digits: Alphabet
    """Digits. What stands between the parts of a date is not spelled."""
    bureau: Alphabet
    """The last character of every issuing authority."""
    sexes: Alphabet
    places: Alphabet

    @classmethod
    def of(cls, known: dict[str, int]) -> Self:
        """The alphabets of a recognizer that knows these characters."""
        return cls(
            standard=Alphabet(known, pinyin.characters() | {pinyin.SEPARATOR}),
            letters=Alphabet(known, _CAPITALS, silent=",. -'，"),
            codes=Alphabet(known, machine_readable.CHARACTERS),
            dates=Alphabet(known, _DIGITS + ".-/年月日至"),
            digits=Alphabet(known, _DIGITS, silent=".-/年月日至 "),
            bureau=Alphabet(known, "局"),
            sexes=Alphabet(known, card.SEXES),
            places=Alphabet(known, "".join(card.PLACES)),
        )
