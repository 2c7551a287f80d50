"""The job that kills its worker: counted on the job id, because a redelivered message looks new to celery.

A worker that finds a job still `running`, whose claim has lapsed and whose process shows no sign of life, counts one
death; none when a paid reply waits to be stored. Of a process that died, every job in flight is suspected, the guilty
one and up to 31 neighbours; so from the second death on suspects run one at a time in the whole fleet, and only the
guilty one reaches the third.
"""

from hmt_pass.errors import StoreError
from worker import unreadable
from worker.claims import MAX_DEATHS
from worker.envelope import TaskMessage
from worker.observe import log
from worker.outcomes import PoisonError
from worker.services import services


def is_dead_lettered(task_message: str, error: BaseException) -> bool:
    """Whether a message whose run has escaped celery's own care has done so too often, and is a dead letter now."""
    message = TaskMessage.from_json(task_message)
    job_id = unreadable.letter_id(services(), message)
    try:
        deaths = services().claims.stumbles(job_id)
    except StoreError as failed:
        log.error("message.kept", job_id=job_id, reason=str(failed))
        return False
    return deaths >= MAX_DEATHS and unreadable.bury(message, PoisonError(type(error).__name__))
