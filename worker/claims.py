"""The claim on a job and its state in Redis: what makes a job safe to run twice.

A claim is a lease with a token, renewed by worker.leases while the process lives and the job is not overdue. Each write
that matters is one script, so a kill falls before it or after it.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from hmt_pass import keys
from hmt_pass.errors import JobConflictError
from hmt_pass.job import Job, Lane
from hmt_pass.permit import Reply
from hmt_pass.status import State
from hmt_pass.store import Store
from worker import scripts
from worker.leases import Leases
from worker.limits import Limits
from worker.outcomes import HeldError, PoisonError, SnoozedError, TurnError

# An attempt until its end is known: every record has the same keys.
NO_END = dict.fromkeys(("ended_at", "ms", "code", "meaning", "charge", "request_id", "error")) | {
    "possibly_charged": False
}
LOOK_AGAIN_S = 5.0  # the longest wait for a claim that another worker holds
SUSPECT_FROM = 2  # deaths of workers after which a job runs alone, and MAX_DEATHS after which it is dead: worker.poison
MAX_DEATHS = 3
_OPEN = [keys.open_jobs(lane) for lane in Lane]
PAID_MEANWHILE_S = 0.1  # a worker that had lost its claim has written the receipt: store it
BEING_READ_S = 1.0  # about as long as a call takes


def now() -> str:
    """This moment as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long the state, the result and the content index of a finished job are kept, in seconds; 0: not at all."""

    status_s: int
    result_s: int
    content_s: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's lease on one job: its token, the job's hash as it was found, the receipt if a reply is paid for."""

    job: Job
    token: str
    fields: Mapping[str, str]
    receipt: Mapping[str, Any] | None = field(repr=False)

    @property
    def state(self) -> State:
        """Where the job stood when it was claimed."""
        return State(self.fields.get("state", State.UNKNOWN))

    @property
    def attempts(self) -> int:
        """Calls made since the job was last enqueued or redriven."""
        return int(self.fields.get("attempts", 0)) - int(self.fields.get("attempts_before", 0))

    @property
    def possibly_charged(self) -> int:
        """How many of them were sent and never seen to be answered."""
        return int(self.fields.get("possibly_charged", 0))


class Claims:
    """All claims and job states. Every method raises StoreError when Redis does not answer."""

    def __init__(self, store: Store, leases: Leases, limits: Limits, *, worker: str, process: str) -> None:
        self._store = store
        self._leases = leases
        self._limits = limits
        self._worker = worker
        self._process = process
        self._claim = store.register_script(scripts.CLAIM)
        self._write = store.register_script(scripts.WRITE)
        self._finish = store.register_script(scripts.FINISH)
        self._revive = store.register_script(scripts.REVIVE)
        self._unrevive = store.register_script(scripts.UNREVIVE)
        self._expire = store.register_script(scripts.EXPIRE)
        self._look = store.register_script(scripts.LOOK)
        self._moved = store.register_script(scripts.MOVED)

    def claim(self, job: Job) -> Claim:
        """Take the lease on a job.

        Raises HeldError, TurnError when there is too much to do already, SnoozedError while another has it,
        JobConflictError, PoisonError after MAX_DEATHS workers.
        """
        token = f"{self._leases.process}.{secrets.token_hex(8)}"
        answer = self._claim(keys=_claim_keys(job), args=self._claim_arguments(job, token))
        match answer:
            case ["held"]:
                raise HeldError
            case ["claimed", wait_ms]:
                raise SnoozedError("claimed by another worker", min(max(wait_ms / 1000, 0.1), LOOK_AGAIN_S))
            case ["conflict"]:
                raise JobConflictError(f"job id {job.job_id} already stands for another image, etag or flag")
            case ["later", wait_ms]:
                raise TurnError(wait_ms / 1000)
            case ["poison", deaths]:
                raise PoisonError(f"{deaths} workers died while they ran it")
            case ["suspect"]:
                raise SnoozedError("another job that workers died of is being tried alone", LOOK_AGAIN_S)
        self._leases.hold(token, job.job_id, keys.claim(job.job_id), keys.SUSPECT)
        flat, receipt = answer[1], answer[2]
        return Claim(
            job, token, dict(zip(flat[::2], flat[1::2], strict=True)), json.loads(receipt) if receipt else None
        )

    def _claim_arguments(self, job: Job, token: str) -> list[str | int | float]:
        what: list[str | int] = [str(job.image), int(job.flag), job.etag or "", str(job.lane), job.job_id]
        who: list[str | int] = [token, self._leases.lease_ms, now(), self._worker]
        limits = [self._limits.utc_offset_s, self._limits.rate_per_s]
        return [*who, *what, SUSPECT_FROM, MAX_DEATHS, self._process, *limits, keys.sign_of_life("%s")]

    def drop_receipt(self, job_id: str) -> None:
        """Let go of a reply that was paid for another photo under the same job id."""
        self._store.delete(keys.receipt(job_id))

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """Every attempt of a job, in order."""
        records = self._store.hgetall(keys.attempts(job_id))
        return [json.loads(text) for _, text in sorted(records.items(), key=lambda item: int(item[0]))]

    def finish(
        self,
        claim: Claim,
        fields: Mapping[str, str],
        document: str,
        *,
        sha256: str,
        address: str,
        lifetimes: Lifetimes,
    ) -> bool:
        """Make the stored result the job's end and give up all leases; False when another worker has the claim by now.

        `sha256` of the content and the result's `address` go into the content index, for as long as `lifetimes` says.
        """
        job_id, flag = claim.job.job_id, int(claim.job.flag)
        names = [keys.job(job_id), keys.claim(job_id), keys.attempts(job_id), keys.receipt(job_id), keys.result(job_id)]
        names += [keys.content(sha256, flag), keys.content_claim(sha256, flag), keys.SUSPECT, *_OPEN]
        names += [keys.SPEND, keys.TALLY]
        pairs = [item for pair in fields.items() for item in pair]
        times = (lifetimes.status_s, lifetimes.result_s)
        generation = claim.fields.get("generation", "0")
        how = "copied" if fields.get("copied_from") else fields["state"]
        arguments: list[str | int] = [claim.token, generation, job_id, *times, document, lifetimes.content_s, address]
        arguments += [how, self._limits.utc_offset_s]
        is_ended = bool(self._finish(keys=names, args=[*arguments, *pairs]))
        if is_ended:
            self._leases.drop(claim.token)
        return is_ended

    def result(self, job_id: str) -> dict[str, Any] | None:
        """The result document, while Redis keeps it."""
        text = self._store.get(keys.result(job_id))
        return json.loads(text) if text else None

    def fields(self, job_id: str) -> dict[str, str]:
        """The job's hash as it stands."""
        return cast("dict[str, str]", self._store.hgetall(keys.job(job_id)))  # decode_responses makes them str

    def fail(self, job_id: str, *, bounded: bool) -> tuple[int, float]:
        """Count one more failure, those that spend the budget apart; returns how many there were of the kind.

        And the seconds since the first of all, without the time before the last hold was released.
        """
        moment = datetime.now(UTC)
        with self._store.pipeline() as pipe:
            pipe.hincrby(keys.job(job_id), "failures" if bounded else "outages", 1)
            pipe.hsetnx(keys.job(job_id), "first_failure_at", moment.isoformat(timespec="milliseconds"))
            pipe.hget(keys.job(job_id), "first_failure_at")
            pipe.get(keys.RELEASED_AT)
            failures, _, first, released = pipe.execute()
        since = max(datetime.fromisoformat(text) for text in (first, released) if text)
        return failures, (moment - since).total_seconds()

    def snooze(self, job_id: str) -> int:
        """Count a call that was answered "not now", which spends no attempt; returns how many there were before."""
        with self._store.pipeline() as pipe:
            pipe.hincrby(keys.job(job_id), "snoozes", 1)
            pipe.hincrby(keys.job(job_id), "attempts_before", 1)
            return int(pipe.execute()[0]) - 1

    def waits(
        self, job_id: str, state: State, reason: str, reply: Reply | None = None, claim: Claim | None = None
    ) -> None:
        """Write down that the job waits for its next run, why, and what the endpoint said if it did.

        With a claim this, `dies` and `died` raise SnoozedError when another worker has claimed the job since.
        """
        self._become(job_id, {"state": str(state), "reason": reason, **_said(reply)}, claim)

    def dies(self, job_id: str, claim: Claim | None = None) -> None:
        """Note that a dead letter is about to be put, so that whoever finishes the job later knows to look for it."""
        self._become(job_id, {"dead_at": now()}, claim)

    def died(self, job_id: str, reason: str, reply: Reply | None = None, claim: Claim | None = None) -> None:
        """Write down that the job was dead-lettered, why, and what the endpoint said if it did."""
        fields = {"state": str(State.DEAD), "reason": reason, "finished_at": now(), **_said(reply)}
        try:
            self._become(job_id, fields, claim)
        except SnoozedError:
            self.dies(job_id)  # the letter is put: whoever runs the job next has to bury it
            raise

    def buried(self, job_id: str) -> None:
        """Note that the job's dead letter is gone."""
        self._store.hdel(keys.job(job_id), "dead_at")

    def _become(self, job_id: str, fields: dict[str, str], claim: Claim | None) -> None:
        token = claim.token if claim else ""
        names = [keys.job(job_id), keys.DEAD_JOBS, *_OPEN, keys.TALLY]
        if not self._write(keys=names, args=[token, job_id, *_flat(fields)]):
            raise claim_lost()

    def drop(self, job_ids: Iterable[str], ttl_s: int) -> int:
        """Let the states of jobs without a dead letter go after `ttl_s`, and receipts at once: nobody will ask again.

        What a redrive has revived and not moved is dead again. Returns how many jobs go on: enqueued or claimed since.
        """
        dropped = list(job_ids)
        self.unrevive(dropped)
        with self._store.pipeline(transaction=False) as pipe:
            for job_id in dropped:
                names = [keys.job(job_id), keys.attempts(job_id), keys.receipt(job_id), keys.DEAD_JOBS]
                self._expire(keys=names, args=[job_id, ttl_s], client=pipe)
            return pipe.execute().count(0)

    def revive(self, job_ids: Iterable[str], by: str, name: str) -> None:
        """Give dead jobs a new budget before their messages are redriven; attempts go on counting.

        `by` and the redrive's `name` are written into the jobs' history.
        """
        redrive = json.dumps({"at": now(), "by": by, "name": name})
        with self._store.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                self._revive(keys=[keys.job(job_id), keys.DEAD_JOBS, *_OPEN], args=[job_id, redrive], client=pipe)
            pipe.execute()

    def unrevive(self, job_ids: Iterable[str]) -> None:
        """Take `revive` back: the jobs are dead again, but those that were claimed or enqueued since."""
        with self._store.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                names = [keys.job(job_id), keys.claim(job_id), keys.DEAD_JOBS, *_OPEN]
                self._unrevive(keys=names, args=[job_id], client=pipe)
            pipe.execute()

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is still ours."""
        return bool(self._store.get(keys.claim(claim.job.job_id)) == claim.token)

    def release(self, claim: Claim) -> None:
        """Give up the claim if it is still ours, and the content with it."""
        self._leases.release(claim.token)

    def waits_long(self, claim: Claim) -> None:
        """Give the job its full time again: it waits for Redis, and is not stuck."""
        self._leases.progressed(claim.token)

    def moves(self, job_id: str, lane: str, delay_s: float) -> None:
        """Note that the job's message is back on its queue in `delay_s`; the registry of open jobs goes by it."""
        self._moved(keys=[keys.open_jobs(lane), keys.job(job_id)], args=[job_id, delay_s])

    def stumbles(self, job_id: str) -> int:
        """Count one more death of a job whose run nobody could settle; returns how many there were."""
        return self._store.hincrby(keys.job(job_id), "deaths", 1)

    def look(self, claim: Claim, sha256: str) -> str | None:
        """Where the reading of this content and flag lies, or None and it is ours to have it read.

        Raises SnoozedError while another job has it read.
        """
        flag = int(claim.job.flag)
        names = [keys.content(sha256, flag), keys.content_claim(sha256, flag)]
        match self._look(keys=names, args=[claim.token, self._leases.lease_ms]):
            case ["known", address]:
                return str(address)
            case ["ours"]:
                self._leases.hold(claim.token, claim.job.job_id, names[1])
                return None
            case _:
                raise SnoozedError("the same image is being read for another job", BEING_READ_S)

    def forget(self, claim: Claim, sha256: str) -> None:
        """Take a reading that is gone out of the content index."""
        self._store.delete(keys.content(sha256, int(claim.job.flag)))


def claim_lost() -> SnoozedError:
    """Another worker has the job by now: nothing of ours may be written over its work."""
    return SnoozedError("the claim was lost to another worker", LOOK_AGAIN_S)


def _said(reply: Reply | None) -> dict[str, str]:
    return {"code": reply.code, "request_id": reply.request_id} if reply else {}


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [item for pair in fields.items() for item in pair]


def _claim_keys(job: Job) -> list[str]:
    own = [keys.job(job.job_id), keys.claim(job.job_id), keys.attempts(job.job_id), keys.receipt(job.job_id)]
    fleet = [keys.HOLD, keys.RATE, keys.open_jobs(job.lane), keys.FRONTIER, keys.SUSPECT]
    return [*own, *fleet, keys.SPEND, keys.TALLY, keys.LEDGER, keys.CLAIMS_STEADY]
