"""Messages that no task can be run for: each becomes a dead letter with its original bytes, and none stops a worker.

celery deletes most of them, and some end the process or send it into an endless reconnection:
tests/chaos/poisons.py has a list.
"""

import hashlib
import json

from hmt_pass.errors import HmtPassError, InvalidJobError, StoreError
from hmt_pass.job import check_job_id
from hmt_pass.status import State
from worker.envelope import TaskMessage
from worker.observe import log
from worker.outcomes import DeadLetteredError, UnknownTaskError, UnreadableMessageError
from worker.services import Services, services
from worker.settling import Settling

_KEEP_THE_ID = {InvalidJobError.reason, UnknownTaskError.reason, UnreadableMessageError.reason}


def bury(message: TaskMessage, error: HmtPassError) -> bool:
    """Make a dead letter of a message; False when that cannot be done now, and the message must not be let go."""
    job_id = letter_id(services(), message)
    try:
        Settling(services(), message, job_id).dead_letter(error)
    except DeadLetteredError:
        return True
    except StoreError as failed:
        log.error("message.kept", job_id=job_id, reason=str(failed))
        return False


def bury_entry(queue: str, entry: bytes, problem: str) -> bool:
    """The same for a list entry that is not even a message: its bytes become the body."""
    message = TaskMessage({}, entry, "application/octet-stream", "binary", queue)
    return bury(message, UnreadableMessageError(f"{problem} in an entry of {len(entry)} bytes"))


def letter_id(services: Services, message: TaskMessage) -> str:
    """The job's id when no worker has seen a job under it; else one of the message's own."""
    try:
        job_id = check_job_id(message.headers.get("id"))
        waits = services.claims.fields(job_id).get("state", State.QUEUED) == State.QUEUED
        letter = services.dead_letters.find(job_id)
    except (InvalidJobError, StoreError):
        return own_id(message)
    is_known = letter is not None and letter.reason in _KEEP_THE_ID
    return job_id if waits or is_known else own_id(message)


def own_id(message: TaskMessage) -> str:
    """An id for a message that has none of its own, the same whenever it is delivered, and another's for no other."""
    headers = {name: value for name, value in message.headers.items() if name != "redelivered"}  # kombu's own mark
    said = json.dumps([headers, message.content_type, message.content_encoding], sort_keys=True, default=repr)
    return f"invalid-{hashlib.sha256(said.encode() + message.body).hexdigest()[:24]}"
