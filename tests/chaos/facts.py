"""What the auditor judges by: everything that all stores and the endpoint's books say, as plain values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.scripted import Call

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job in Redis: its hash, its attempts in order, the copy of its result, and whether a receipt is left."""

    fields: Mapping[str, str] = field(default_factory=dict)
    attempts: tuple[Record, ...] = ()
    result: Mapping[str, Any] | None = None
    has_receipt: bool = False

    @property
    def state(self) -> str:
        return self.fields.get("state", "unknown")


@dataclass(frozen=True, slots=True)
class Facts:
    """The whole system at one moment.

    `accepted` are the jobs that were answered with an id. `waiting` are the job ids of the messages that the broker
    holds: on a queue, delayed or booked; one that occurs twice has two messages. `letters` are the reasons of the dead
    letters by job, `dead_messages` the job ids on the dead-letter queue. `objects` are the results in S3. `booked_at`
    says, by sequence id, when Redis got to know of a charge; the attempt's own times are those of its worker.
    """

    accepted: Collection[str]
    jobs: Mapping[str, JobFacts]
    waiting: tuple[str, ...] = ()
    open_jobs: frozenset[str] = frozenset()
    letters: Mapping[str, str] = field(default_factory=dict)
    dead_messages: tuple[str, ...] = ()
    objects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    booked_at: Mapping[str, str] = field(default_factory=dict)
    drained: bool = True
    """Whether the run waited for every job's end; otherwise a job may still wait."""
