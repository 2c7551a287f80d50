"""The claim on a job and its state in Redis: what makes a job safe to run twice.

A claim is a lease with a token. It is never renewed: every blocking call of a job has its own time limit, and the lease
is longer than all of them together. Each write that matters is one script, so a kill falls before it or after it.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from hmt_pass import keys
from hmt_pass.errors import JobConflictError
from hmt_pass.job import Job
from hmt_pass.status import State
from hmt_pass.store import Store
from worker.outcomes import HeldError, SnoozedError

_CLAIM = """
local job, claim, attempts, receipt, hold = unpack(KEYS)
local token, lease_ms, now, worker, image, flag, lane = unpack(ARGV)
local known = redis.call('HMGET', job, 'image', 'hmt_flag', 'attempts', 'state')
if known[1] and (known[1] ~= image or known[2] ~= flag) then return {'conflict'} end
if redis.call('EXISTS', hold) == 1 then return {'held'} end
if not redis.call('SET', claim, token, 'NX', 'PX', lease_ms) then return {'claimed', redis.call('PTTL', claim)} end
local last = known[3] and redis.call('HGET', attempts, known[3])
local record = last and cjson.decode(last)
if record and record.ended_at == cjson.null then
    record.ended_at, record.error, record.possibly_charged = now, 'worker died', true
    redis.call('HSET', attempts, known[3], cjson.encode(record))
    redis.call('HINCRBY', job, 'possibly_charged', 1)
end
local state = known[4]
if not (state == 'recognized' or state == 'rejected' or state == 'dead') then
    redis.call('HSET', job, 'image', image, 'hmt_flag', flag, 'lane', lane, 'state', 'running', 'started_at', now,
        'worker', worker)
    redis.call('HDEL', job, 'reason')
end
return {'claimed by us', redis.call('HGETALL', job), redis.call('GET', receipt)}
"""

_INTENT = """
local job, claim, attempts, hold, pause = unpack(KEYS)
local token, lease_ms, record, job_id = unpack(ARGV)
if redis.call('GET', claim) ~= token then return {'lost'} end
if redis.call('EXISTS', hold) == 1 then return {'held'} end
local wait_ms = redis.call('PTTL', pause)
if wait_ms > 0 then return {'paused', wait_ms} end
local attempt = redis.call('HINCRBY', job, 'attempts', 1)
local written = cjson.decode(record)
written.attempt, written.sequence_id = attempt, job_id .. '-' .. attempt
redis.call('HSET', attempts, attempt, cjson.encode(written))
redis.call('PEXPIRE', claim, lease_ms)
return {'go', attempt}
"""

_FINISH = """
local job, claim, attempts, receipt, result, content, lease = unpack(KEYS)
local token, status_ttl_s, result_ttl_s, document, content_ttl_s, source = unpack(ARGV, 1, 6)
local holder = redis.call('GET', claim)
if holder and holder ~= token then return 0 end
redis.call('HDEL', job, 'reason', 'snoozes', 'failures', 'first_failure_at', 'possibly_charged', 'dead_at')
redis.call('HSET', job, unpack(ARGV, 7))
redis.call('EXPIRE', job, status_ttl_s)
redis.call('EXPIRE', attempts, status_ttl_s)
redis.call('SET', result, document, 'EX', result_ttl_s)
if content_ttl_s ~= '0' then redis.call('SET', content, source, 'EX', content_ttl_s) end
redis.call('DEL', receipt, claim)
if redis.call('GET', lease) == token then redis.call('DEL', lease) end
return 1
"""

_REVIVE = """
local attempts = redis.call('HGET', KEYS[1], 'attempts')
redis.call('HSET', KEYS[1], 'state', 'queued', 'attempts_before', attempts or 0)
redis.call('HINCRBY', KEYS[1], 'redriven', 1)
redis.call('HDEL', KEYS[1], 'reason', 'snoozes', 'failures', 'first_failure_at', 'possibly_charged', 'finished_at')
redis.call('PERSIST', KEYS[1])
"""

_LOOK = """
local content, lease = unpack(KEYS)
local token, lease_ms = unpack(ARGV)
local known = redis.call('GET', content)
if known then return {'known', known} end
return {redis.call('SET', lease, token, 'NX', 'PX', lease_ms) and 'ours' or 'taken'}
"""

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

# An attempt until its end is known: every record has the same keys.
NO_END = dict.fromkeys(("ended_at", "ms", "code", "meaning", "charge", "request_id", "error")) | {
    "possibly_charged": False
}
LOOK_AGAIN_S = 5.0  # the longest wait for a claim that another worker holds
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

    def __init__(self, store: Store, lease_s: float, worker: str) -> None:
        self._store = store
        self._lease_ms = int(lease_s * 1000)
        self._worker = worker
        self._claim = store.register_script(_CLAIM)
        self._intent = store.register_script(_INTENT)
        self._finish = store.register_script(_FINISH)
        self._revive = store.register_script(_REVIVE)
        self._look = store.register_script(_LOOK)
        self._release = store.register_script(_RELEASE)

    def claim(self, job: Job) -> Claim:
        """Take the lease on a job. Raises HeldError, SnoozedError while another has it, JobConflictError."""
        token = secrets.token_hex(8)
        names = [keys.job(job.job_id), keys.claim(job.job_id), keys.attempts(job.job_id), keys.receipt(job.job_id)]
        image, flag, lane = str(job.image), int(job.flag), str(job.lane)
        arguments: list[str | int] = [token, self._lease_ms, now(), self._worker, image, flag, lane]
        answer = self._claim(keys=[*names, keys.HOLD], args=arguments)
        match answer:
            case ["held"]:
                raise HeldError
            case ["claimed", wait_ms]:
                raise SnoozedError("claimed by another worker", min(max(wait_ms / 1000, 0.1), LOOK_AGAIN_S))
            case ["conflict"]:
                raise JobConflictError(f"job id {job.job_id} already stands for another image or flag")
        flat, receipt = answer[1], answer[2]
        return Claim(
            job, token, dict(zip(flat[::2], flat[1::2], strict=True)), json.loads(receipt) if receipt else None
        )

    def intend(self, claim: Claim) -> int:
        """Write down that a call is about to be made; returns its 1-based attempt. Raises HeldError, SnoozedError."""
        job_id = claim.job.job_id
        names = [keys.job(job_id), keys.claim(job_id), keys.attempts(job_id), keys.HOLD, keys.PAUSE]
        record = json.dumps(NO_END | {"started_at": now(), "worker": self._worker})
        match self._intent(keys=names, args=[claim.token, self._lease_ms, record, job_id]):
            case ["go", attempt]:
                return int(attempt)
            case ["held"]:
                raise HeldError
            case ["paused", wait_ms]:
                raise SnoozedError("the endpoint asked for fewer calls", wait_ms / 1000)
            case _:
                raise SnoozedError("the claim was lost to another worker", LOOK_AGAIN_S)

    def record(self, claim: Claim, record: Mapping[str, Any], receipt: Mapping[str, Any] | None) -> bool:
        """Write down how an attempt ended and, when it was paid for, the reply: in one transaction.

        A receipt that is already there stays: it belongs to an earlier paid reply for the same job. Returns whether the
        claim is still ours.
        """
        job_id = claim.job.job_id
        with self._store.pipeline() as pipe:
            if receipt is not None:
                pipe.set(keys.receipt(job_id), json.dumps(receipt, ensure_ascii=False), nx=True)
            pipe.hset(keys.attempts(job_id), str(record["attempt"]), json.dumps(record, ensure_ascii=False))
            pipe.hset(keys.job(job_id), "code", record["code"] or "")
            pipe.hset(keys.job(job_id), "request_id", record["request_id"] or "")
            if record["possibly_charged"]:
                pipe.hincrby(keys.job(job_id), "possibly_charged", 1)
            pipe.get(keys.claim(job_id))
            return bool(pipe.execute()[-1] == claim.token)

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
        lifetimes: "Lifetimes",
    ) -> bool:
        """Make the stored result the job's end and give up all leases; False when another worker has the claim by now.

        `sha256` of the content and the result's `address` go into the content index, for as long as `lifetimes` says.
        """
        job_id, flag = claim.job.job_id, int(claim.job.flag)
        names = [keys.job(job_id), keys.claim(job_id), keys.attempts(job_id), keys.receipt(job_id), keys.result(job_id)]
        names += [keys.content(sha256, flag), keys.content_claim(sha256, flag)]
        pairs = [item for pair in fields.items() for item in pair]
        times = (lifetimes.status_s, lifetimes.result_s)
        arguments: list[str | int] = [claim.token, *times, document, lifetimes.content_s, address, *pairs]
        return bool(self._finish(keys=names, args=arguments))

    def fields(self, job_id: str) -> dict[str, str]:
        """The job's hash as it stands."""
        return cast("dict[str, str]", self._store.hgetall(keys.job(job_id)))  # decode_responses makes them str

    def fail(self, job_id: str) -> tuple[int, float]:
        """Count one more failure; returns how many there were and the seconds since the first."""
        moment = datetime.now(UTC)
        with self._store.pipeline() as pipe:
            pipe.hincrby(keys.job(job_id), "failures", 1)
            pipe.hsetnx(keys.job(job_id), "first_failure_at", moment.isoformat(timespec="milliseconds"))
            pipe.hget(keys.job(job_id), "first_failure_at")
            failures, _, first = pipe.execute()
        return failures, (moment - datetime.fromisoformat(first)).total_seconds()

    def snooze(self, job_id: str) -> int:
        """Count a call that was answered "not now", which spends no attempt; returns how many there were before."""
        with self._store.pipeline() as pipe:
            pipe.hincrby(keys.job(job_id), "snoozes", 1)
            pipe.hincrby(keys.job(job_id), "attempts_before", 1)
            return int(pipe.execute()[0]) - 1

    def waits(self, job_id: str, state: State, reason: str) -> None:
        """Write down that the job waits for its next run, and why."""
        with self._store.pipeline() as pipe:
            pipe.hset(keys.job(job_id), "state", str(state))
            pipe.hset(keys.job(job_id), "reason", reason)
            pipe.execute()

    def died(self, job_id: str, reason: str) -> None:
        """Write down that the job was dead-lettered, and why."""
        moment = now()
        with self._store.pipeline() as pipe:
            pipe.hset(keys.job(job_id), "state", str(State.DEAD))
            pipe.hset(keys.job(job_id), "reason", reason)
            pipe.hset(keys.job(job_id), "finished_at", moment)
            pipe.hset(keys.job(job_id), "dead_at", moment)
            pipe.execute()

    def expire(self, job_id: str, ttl_s: int) -> None:
        """Let the state of a job go after `ttl_s`: nobody will ask for it again."""
        for key in (keys.job(job_id), keys.attempts(job_id), keys.receipt(job_id)):
            self._store.expire(key, ttl_s)

    def revive(self, job_id: str) -> None:
        """Give a dead job a new budget before its message is redriven; attempts go on counting."""
        self._revive(keys=[keys.job(job_id)])

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is still ours."""
        return bool(self._store.get(keys.claim(claim.job.job_id)) == claim.token)

    def release(self, claim: Claim) -> None:
        """Give up the claim if it is still ours."""
        self._release(keys=[keys.claim(claim.job.job_id)], args=[claim.token])

    def look(self, claim: Claim, sha256: str) -> str | None:
        """Where the reading of this content and flag lies, or None and it is ours to have it read.

        Raises SnoozedError while another job has it read.
        """
        flag = int(claim.job.flag)
        names = [keys.content(sha256, flag), keys.content_claim(sha256, flag)]
        match self._look(keys=names, args=[claim.token, self._lease_ms]):
            case ["known", address]:
                return str(address)
            case ["ours"]:
                return None
            case _:
                raise SnoozedError("the same image is being read for another job", BEING_READ_S)

    def forget(self, claim: Claim, sha256: str) -> None:
        """Take a reading that is gone out of the content index."""
        self._store.delete(keys.content(sha256, int(claim.job.flag)))

    def look_away(self, claim: Claim, sha256: str) -> None:
        """Let others have this content read."""
        self._release(keys=[keys.content_claim(sha256, int(claim.job.flag))], args=[claim.token])
