"""Why a job is not finished, in a sentence, and where to look next: what `status` says first."""

from collections.abc import Callable, Mapping

from hmt_pass import cures, keys
from hmt_pass.job import Lane
from hmt_pass.status import State, Status
from worker.services import Services


def why(services: Services, status: Status) -> str | None:
    """The reason in words, None when the job was recognized. Raises StoreError."""
    return _WHY[status.state](services, status)


def _held(services: Services, _status: Status) -> str:
    info = services.hold.info()
    if info is None:  # released just now
        return "the account was on hold; workers take jobs again"
    return f"the account is on hold since {info.since}: {info.reason}; `hold status` says how it ends"


def _waits(services: Services, status: Status) -> str:
    due_at = services.delayed.due_at(status.job_id)
    if due_at:
        return f"{status.reason or 'not now'}; it is tried again at {due_at}"
    queue = Lane(status.lane or Lane.INTERACTIVE).queue
    waiting = services.queues.waiting(queue)
    if waiting:
        return f"{waiting} messages wait in {queue}; look whether workers run, and at HMT_PASS_RATE_PER_S"
    return f"no message waits in {queue}: a worker is taking it, or the broker has lost it and it is written anew soon"


def _runs(services: Services, status: Status) -> str:
    worker = services.claims.fields(status.job_id).get("worker", "a worker")
    left_ms = services.store.pttl(keys.claim(status.job_id))
    if left_ms < 0:
        return f"{worker} has died or was cut off while it ran it; another one takes it over within a minute or two"
    return f"{worker} runs it since {status.started_at}; its log has the rest under this job_id"


def _rejected(_services: Services, status: Status) -> str:
    return f"the image is at fault: {status.reason}; the uploader must send another one"


def _dead(_services: Services, status: Status) -> str:
    return cures.cure(status.reason or "", status.code).en


def _unknown(_services: Services, _status: Status) -> str:
    return "nobody has registered it, or its state has expired; a result would be in S3"


_WHY: Mapping[State, Callable[[Services, Status], str | None]] = {
    State.RECOGNIZED: lambda _services, _status: None,
    State.HELD: _held,
    State.QUEUED: _waits,
    State.RETRYING: _waits,
    State.RUNNING: _runs,
    State.REJECTED: _rejected,
    State.DEAD: _dead,
    State.UNKNOWN: _unknown,
}
