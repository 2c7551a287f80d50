"""What may happen in one schedule, where it stands, and what an exploration of all of them reports."""

from collections import Counter
from dataclasses import asdict, dataclass, field

from stage import Node


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may happen in one schedule. `lapses` and `redeliveries` are those of a worker that still lives."""

    deliveries: int = 3
    at_once: int = 2
    crashes: int = 0
    lapses: int = 0
    redeliveries: int = 0
    losses: int = 0
    uploads: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in asdict(self).items() if count)

    @property
    def may_cost(self) -> int:
        """The most charges that are no fault: one, and one for each thing that can hide one from us."""
        return 1 + self.crashes + self.lapses + self.losses + self.uploads


@dataclass(frozen=True, slots=True)
class Delivery:
    """One worker with the message. `booked`: the message is its to acknowledge; `paid_for`: before its last step."""

    node: Node
    booked: bool = True
    paid_for: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class State:
    """`left` is what may still happen; `contents` counts the photos that lay in S3 at the last upload and enqueue."""

    world: int
    left: Bounds
    running: tuple[Delivery, ...] = ()
    queued: int = 1
    started: int = 0
    contents: tuple[int, int] = (1, 1)


Move = tuple[str, State, list[str]]


@dataclass(slots=True)
class Report:
    """What an exploration found: the shortest trace to each broken promise, and how much was looked at."""

    states: int = 0
    moves: int = 0
    schedules: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    violations: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {name}" for name, count in sorted(self.ends.items()))
        return f"{self.schedules:,} schedules, {self.states:,} states, {self.moves:,} moves; ends: {ends}"

    def story(self) -> str:
        """Every violation with its schedule, one step a line."""
        found = ([f"VIOLATION: {name}", *(f"  {line}" for line in trace)] for name, trace in self.violations.items())
        return "\n".join(line for lines in found for line in lines)


def paths(start: State, leads_to: dict[State, list[State]]) -> int:
    """How many ways lead from the start to an end; no way leads round, for each move uses something up."""
    entries = Counter(after for afters in leads_to.values() for after in afters)
    ways, ready, ended = Counter({start: 1}), [start], 0
    while ready:
        state = ready.pop()
        ended += 0 if leads_to[state] else ways[state]
        for after in leads_to[state]:
            ways[after] += ways[state]
            entries[after] -= 1
            if not entries[after]:
                ready.append(after)
    return ended


def trace(came_from: dict[State, tuple[State, str]], state: State) -> list[str]:
    labels = []
    while came_from[state][1]:
        state, label = came_from[state]
        labels.append(label)
    return labels[::-1]
