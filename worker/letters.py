"""The record of a dead letter: why a job died, and all that happened to it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

from hmt_pass import codes, cures


class LetterId(NamedTuple):
    """One dead letter and no other: its job, and when it was put (Unix time). A job that dies again gets a new one."""

    job_id: str
    put_at: float


def letter_ids(pairs: Iterable[tuple[str, float]]) -> list[LetterId]:
    """Out of what Redis answers for a sorted set with scores, which redis-py does not type."""
    return [LetterId(job_id, put_at) for job_id, put_at in pairs]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a job died, without any field of a permit. Times are ISO 8601 in UTC.

    `detail` says more than `reason`. `code` and `msg` are the endpoint's last words, None when it never answered;
    `attempts` are the records of every call. `redriven` counts how often the job was moved back before; `redrives` says
    when, by whom and under which name the last of them were.
    """

    job_id: str
    reason: str
    dead_at: str
    detail: str = ""
    image: str | None = None
    hmt_flag: int | None = None
    code: str | None = None
    msg: str | None = None
    request_id: str | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    first_failure_at: str | None = None
    last_failure_at: str | None = None
    redriven: int = 0
    redrives: list[dict[str, str]] = field(default_factory=list)
    worker: str = ""
    worker_version: str = ""

    @property
    def meaning(self) -> str | None:
        """What the code means, in English."""
        return codes.meaning(self.code) if self.code else None

    @property
    def cure(self) -> cures.Cure:
        """What to do about it."""
        return cures.cure(self.reason, self.code)

    @property
    def request_ids(self) -> list[str]:
        """The endpoint's numbers of all calls that it answered."""
        return [record["request_id"] for record in self.attempts if record.get("request_id")]

    def record(self) -> dict[str, Any]:
        """What is kept of it, as JSON; what follows from that is not, so that an old letter gets a better cure."""
        return {name: getattr(self, name) for name in _NAMES}

    def as_dict(self) -> dict[str, Any]:
        """The dead letter as it is shown, as JSON: the record, what the code means, the cures, all request ids."""
        record, cure = self.record(), self.cure
        until_msg = {name: record.pop(name) for name in _NAMES[: _NAMES.index("msg") + 1]}
        told = {"meaning": self.meaning, "cure": cure.en, "cure_zh": cure.zh, "request_ids": self.request_ids}
        return {**until_msg, **told, **record}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `record`, of any version: what it lacks is empty, what we do not know is left out."""
        return cls(**{name: record[name] for name in _NAMES if name in record})


_NAMES = tuple(item.name for item in fields(DeadLetter))


def redrives(state: Mapping[str, str]) -> list[dict[str, str]]:
    """How a job was redriven, the latest last, out of its state hash: `at`, `by`, `name`."""
    found: list[dict[str, str]] = json.loads(state.get("redrives", "[]"))
    return found
