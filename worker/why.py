"""Why a job is not finished, and what to do about it, in a sentence each: what `status` says first."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hmt_pass import cures, keys
from hmt_pass.job import Lane
from hmt_pass.status import State, Status
from worker.hold import ends
from worker.services import Services

DAY_S = 24 * 3600
_COMMANDS = re.compile("`(dead-letters|doctor|hold|status)\\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """The reason in words, None when the job was recognized; and what to type, or that nothing is to be done."""

    why: str | None = None
    do: str | None = None


def answer(services: Services, status: Status) -> Answer:
    """Why the job stands where it stands. Raises StoreError."""
    return _ANSWERS[status.state](services, status)


def typed(text: str) -> str:
    """A cure with its commands as they are typed."""
    return _COMMANDS.sub(r"`python -m worker \1", text)


def _held(services: Services, _status: Status) -> Answer:
    info = services.hold.info()
    if info is None:
        return Answer("the account was on hold until just now", "nothing: workers take jobs again")
    cure = f"{typed(cures.cure('', info.code).en)} " if info.code else ""
    waits = f"It waits {ends(info, time.time())}, and goes on by itself then."
    return Answer(f"the account is on hold since {info.since}: {info.reason}", f"{cure}{waits}")


def _waits(services: Services, status: Status) -> Answer:
    due_at = services.delayed.due_at(status.job_id)
    if due_at:
        return Answer(f"{status.reason or 'not now'}; it is tried again at {due_at}", "nothing: it goes on by itself")
    queue = Lane(status.lane or Lane.INTERACTIVE).queue
    waiting = services.queues.waiting(queue)
    if waiting:
        return Answer(f"{waiting} messages wait in {queue}", "see that workers run; mind HMT_PASS_RATE_PER_S")
    cause = f"no message waits in {queue}: a worker is taking it, or the broker has lost it"
    return Answer(cause, "nothing: what a broker lost is written anew soon")


def _runs(services: Services, status: Status) -> Answer:
    worker = services.claims.fields(status.job_id).get("worker", "a worker")
    if services.store.pttl(keys.claim(status.job_id)) < 0:
        cause = f"{worker} has died or was cut off while it ran it"
        return Answer(cause, "nothing: another one takes it over within a minute or two")
    calls = services.claims.attempts(status.job_id)
    is_calling = calls and not calls[-1].get("ended_at")
    call = f", and its call has been under way for {_age_s(calls[-1]['started_at']):.0f} s" if is_calling else ""
    cause = f"{worker} has run it for {_age_s(status.started_at):.0f} s{call}"
    call_s, job_s = services.settings.total_timeout_s, services.settings.deadline_s
    return Answer(cause, f"nothing: a call is given up after {call_s:g} s, a job that hangs after {job_s:g} s")


def _rejected(_services: Services, status: Status) -> Answer:
    return Answer(f"the image is at fault: {status.reason}", "it is finished; the uploader must send another photo")


def _dead(_services: Services, status: Status) -> Answer:
    cause = f"it is a dead letter: {status.reason}{f' ({status.code})' if status.code else ''}"
    cure = typed(cures.cure(status.reason or "", status.code).en)
    return Answer(cause, f"{cure} Of this one: `python -m worker dead-letters show {status.job_id}`.")


def _unknown(services: Services, status: Status) -> Answer:
    days = services.settings.status_ttl_s / DAY_S
    cause = f"no job has this id, or it ended over {days:g} days ago"
    address = f"{services.settings.results_prefix}{status.job_id}.json"
    return Answer(cause, f"compare the id with what the producer got; a result would still be in S3 as {address}")


def _age_s(moment: str | None) -> float:
    return time.time() - datetime.fromisoformat(moment).timestamp() if moment else 0.0


_ANSWERS: Mapping[State, Callable[[Services, Status], Answer]] = {
    State.RECOGNIZED: lambda _services, _status: Answer(),
    State.HELD: _held,
    State.QUEUED: _waits,
    State.RETRYING: _waits,
    State.RUNNING: _runs,
    State.REJECTED: _rejected,
    State.DEAD: _dead,
    State.UNKNOWN: _unknown,
}
