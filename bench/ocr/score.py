"""What the answers of an engine are worth: right, empty and wrong fields, with 95 % confidence intervals."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hmt_pass.permit import WIRE_NAMES, Permit

FIELDS = tuple(WIRE_NAMES.values())
"""The seven wire names."""

_Z = 1.96  # 95 % of a normal distribution


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine said about one picture: the seven wire names with what was read, and its verdict."""

    name: str
    fields: dict[str, str]
    accepted: bool
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """0 to 1; 0 of nothing is 0."""
        return self.hits / self.of if self.of else 0.0

    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval, 0 to 1; all of it when nothing was counted."""
        if not self.of:
            return 0.0, 1.0
        middle = self.value + _Z**2 / (2 * self.of)
        reach = _Z * math.sqrt((self.value * (1 - self.value) + _Z**2 / (4 * self.of)) / self.of)
        scale = 1 + _Z**2 / self.of
        return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)

    def __str__(self) -> str:
        """In percent, the interval in brackets; a dash when nothing was counted."""
        low, high = self.interval()
        return f"{self.value:.1%} ({low * 100:.1f}-{high * 100:.1f})" if self.of else "-"


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one engine on one set of cards."""

    cards: int
    all_right: Share
    right: dict[str, Share]
    """By wire name."""
    accepted: Share
    wrong_accepted: Share
    """Non-empty fields that are wrong, of the non-empty fields of accepted cards."""
    cpu_s: float
    """Mean of a card."""


def score(answers: Sequence[Answer], truths: Mapping[str, Permit]) -> Score:
    """Compare answers with the truth by the picture's name."""
    right = {field: _share(_is_right(one, truths, field) for one in answers) for field in FIELDS}
    accepted = [one for one in answers if one.accepted]
    claims = [(one, field) for one in accepted for field in FIELDS if one.fields[field]]
    return Score(
        cards=len(answers),
        all_right=_share(all(_is_right(one, truths, field) for field in FIELDS) for one in answers),
        right=right,
        accepted=Share(len(accepted), len(answers)),
        wrong_accepted=_share(not _is_right(one, truths, field) for one, field in claims),
        cpu_s=sum(one.cpu_s for one in answers) / max(1, len(answers)),
    )


def _share(outcomes: Iterable[bool]) -> Share:
    counted = list(outcomes)
    return Share(sum(counted), len(counted))


def _is_right(answer: Answer, truths: Mapping[str, Permit], field: str) -> bool:
    return answer.fields[field] == truths[answer.name].to_wire()[field]
