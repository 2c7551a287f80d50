"""What must hold in every state of the protocol and at every end, asked of the stores and of the endpoint's own books.

Each function returns the promises that are broken, in words.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fakes import BUCKET
from stage import World

from hmt_pass import keys
from hmt_pass.codes import Code
from hmt_pass.job import Job
from worker.puts import letter_of

AGAIN = "a stored reply is bought again"
SECOND_END = "the job has a second end"
LOST = "the job is lost: it has no end and no message"
ENDLESS = "the job comes to no end"
DISAGREE = "S3 and Redis hold different results"
TWO_ENDS = "the job has a result and a dead letter"
CAUSELESS = "a dead letter although nothing is spent"
UNKNOWN_CHARGE = "a charge that no record tells of"
TOO_DEAR = "more charges than a kill, a lapse or a lost answer explains"
STALE = "the result is of a photo that was replaced before the job was enqueued again"
LEFT_OVER = "a receipt outlives the job's end"


@dataclass(frozen=True)
class View:
    """What a world says of the job."""

    world: World
    job: Job

    @cached_property
    def fields(self) -> dict[str, str]:
        return self.world.redis.get(keys.job(self.job.job_id), {})

    @cached_property
    def state(self) -> str:
        return self.fields.get("state", "unknown")

    @cached_property
    def receipt(self) -> dict[str, Any] | None:
        return self._json(keys.receipt(self.job.job_id))

    @cached_property
    def result(self) -> dict[str, Any] | None:
        return self._json(keys.result(self.job.job_id))

    @cached_property
    def document(self) -> dict[str, Any] | None:
        versions = self.world.objects.get((BUCKET, f"hmt-pass/{self.job.job_id}.json"))
        return json.loads(versions[-1].body) if versions else None

    @cached_property
    def attempts(self) -> dict[str, dict[str, Any]]:
        """The records of all calls, by sequence_id."""
        texts = self.world.redis.get(keys.attempts(self.job.job_id), {}).values()
        return {record["sequence_id"]: record for record in map(json.loads, texts)}

    @cached_property
    def letter(self) -> dict[str, Any] | None:
        text = self.world.redis.get(keys.DEAD_LETTERS, {}).get(self.job.job_id)
        return letter_of(text).record() if text else None

    @cached_property
    def is_delayed(self) -> bool:
        return self.job.job_id in self.world.redis.get(keys.DELAYED, {})

    @cached_property
    def leases(self) -> dict[str, str]:
        """Every key that a delivery holds, and its token."""
        held = self.world.redis.items()
        return {key: value for key, value in held if isinstance(value, str) and value.startswith("token-")}

    @cached_property
    def paid_for(self) -> frozenset[str]:
        """The contents whose reply this job is known to have, by their sha256."""
        known = {charge.sha256 for charge in self.world.books if self._is_recorded(charge.sequence_id)}
        if self.receipt:
            known.add(self.receipt["source"]["sha256"])
        if self.result:
            known.add(self.result["source"]["sha256"])
        return frozenset(known)

    @cached_property
    def end(self) -> tuple[str, str] | None:
        """The job's end and the reply that it stands on; None while it has none."""
        if self.state not in {"recognized", "rejected"} or not self.result:
            return None
        return self.state, self.result["request_id"]

    def _is_recorded(self, sequence_id: str) -> bool:
        return self.attempts.get(sequence_id, {}).get("code") == Code.OK.value

    def _json(self, key: str) -> dict[str, Any] | None:
        text = self.world.redis.get(key)
        return json.loads(text) if text else None


def broken_by_call(sha256: str | None, paid_for: Collection[str]) -> list[str]:
    """`paid_for` as it was before the step before the call, the intent: there the worker can still know."""
    return [AGAIN] if sha256 in paid_for else []


def broken_by_step(before: View, after: View) -> list[str]:
    """A step of a worker must not change an end; only who enqueues the job again opens it."""
    return [SECOND_END] if before.end and before.end != after.end else []


def broken_at_end(view: View, *, may_cost: int, sha256: str) -> list[str]:
    """After the last message. `may_cost` bounds the charges; `sha256` is what lay in S3 at the last enqueue."""
    checks: dict[str, bool] = {
        UNKNOWN_CHARGE: all(map(_is_known, (view.attempts.get(charge.sequence_id) for charge in view.world.books))),
        TOO_DEAR: len(view.world.books) <= may_cost,
    }
    if view.state == "recognized":
        checks[DISAGREE] = view.result == view.document != None  # noqa: E711  neither is missing
        checks[TWO_ENDS] = view.letter is None
        checks[STALE] = view.result is not None and view.result["source"]["sha256"] == sha256
        checks[LEFT_OVER] = view.receipt is None
    elif view.state == "dead":
        checks[LOST] = view.letter is not None
        checks[CAUSELESS] = _is_spent(view)
    else:
        checks[LOST] = False
    return [promise for promise, holds in checks.items() if not holds]


def _is_known(record: dict[str, Any] | None) -> bool:
    return record is not None and (record["charge"] == 1 or record["possibly_charged"])


def _is_spent(view: View) -> bool:
    reasons: Iterable[str] = ("possibly charged too often", "exhausted", "poison")
    return view.letter is not None and view.letter["reason"].startswith(tuple(reasons))
