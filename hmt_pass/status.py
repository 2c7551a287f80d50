"""The states of a job and what a producer learns of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self


class State(StrEnum):
    """Where a job stands. `unknown` is not `queued`: nobody registered the job, or its state has expired."""

    UNKNOWN = "unknown"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    HELD = "held"
    RECOGNIZED = "recognized"
    REJECTED = "rejected"
    DEAD = "dead"

    @property
    def final(self) -> bool:
        """Whether no worker will touch the job again unless somebody asks for it."""
        return self in {State.RECOGNIZED, State.REJECTED, State.DEAD}


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a job. Times are ISO 8601 in UTC, None when it has not come to that.

    `attempts` counts the calls of the endpoint, `code` is the last business code, `reason` says why a job was
    rejected or dead-lettered or waits, `result` is the s3:// address of the result document.
    """

    job_id: str
    state: State
    image: str | None = None
    hmt_flag: int | None = None
    lane: str | None = None
    attempts: int = 0
    code: str | None = None
    reason: str | None = None
    request_id: str | None = None
    result: str | None = None
    enqueued_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    @classmethod
    def from_store(cls, job_id: str, fields: Mapping[str, str], *, on_hold: bool) -> Self:
        """A status out of the job's Redis hash; a waiting job is `held` while the account is on hold."""
        state = State(fields.get("state", State.UNKNOWN))
        if on_hold and state in {State.QUEUED, State.RETRYING}:
            state = State.HELD
        return cls(
            job_id,
            state,
            hmt_flag=int(fields["hmt_flag"]) if "hmt_flag" in fields else None,
            attempts=int(fields.get("attempts", 0)),
            **{name: fields.get(name) or None for name in _TEXTS},
        )

    def as_dict(self) -> dict[str, Any]:
        """The status as JSON."""
        return asdict(self)


_TEXTS = ("image", "lane", "code", "reason", "request_id", "result", "enqueued_at", "started_at", "finished_at")
