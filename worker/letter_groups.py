"""Dead letters summed up: what there is to cure, and how much of each."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from hmt_pass import cures
from worker.letters import DeadLetter


@dataclass(slots=True)
class Group:
    """All dead letters of one code and reason. `redriven` counts those of jobs that were moved back before."""

    code: str | None
    reason: str
    count: int
    oldest_at: str
    newest_at: str
    redriven: int

    @property
    def cure(self) -> cures.Cure:
        """What to do about them."""
        return cures.cure(self.reason, self.code)

    def as_dict(self) -> dict[str, Any]:
        """The group as JSON."""
        return {**asdict(self), "cure": self.cure.en, "cure_zh": self.cure.zh}


def group(letters: Iterable[DeadLetter]) -> list[Group]:
    """The groups, the largest first."""
    groups: dict[tuple[str | None, str], Group] = {}
    for letter in letters:
        key = (letter.code, letter.reason)
        one = groups.setdefault(key, Group(*key, 0, letter.dead_at, letter.dead_at, 0))
        one.count += 1
        one.oldest_at = min(one.oldest_at, letter.dead_at)
        one.newest_at = max(one.newest_at, letter.dead_at)
        one.redriven += letter.redriven > 0
    return sorted(groups.values(), key=lambda one: -one.count)
