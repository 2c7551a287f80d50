"""The base of every task on photos: the job behind the message, its services, its log context, and how it ends."""

import hashlib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.worker.request import Request
from kombu.message import Message

from hmt_pass.errors import HmtPassError, InvalidJobError, JobConflictError, StoreError
from hmt_pass.job import Job
from worker.envelope import TaskMessage
from worker.observe import bind, log
from worker.outcomes import DeadLetteredError
from worker.results import Ours
from worker.services import Services, services
from worker.settling import Settling


class BugError(HmtPassError):
    """Our own code failed. Names the type and the place; the message of the exception may hold data and is left out."""

    def __init__(self, error: BaseException) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        self.reason = f"bug: {type(error).__name__} in {last.name} ({last.filename.rsplit('/', 1)[-1]}:{last.lineno})"
        super().__init__(self.reason)


class JobRequest(Request):
    """celery's request, which also keeps the message as it came: what a delay, a dead letter or a redrive moves."""

    def __init__(self, message: Message, **options: Any) -> None:  # noqa: ANN401  passed through to celery
        super().__init__(message, **options)
        self.request_dict["task_message"] = TaskMessage.received(message).to_json()


if TYPE_CHECKING:
    _Task = Task[..., Any]  # generic in the stubs only
else:
    _Task = Task


class JobTask(_Task):
    """A task whose message is a job. `with self.job(...) as ours` claims it, settles what goes wrong, releases it."""

    abstract = True
    Request = JobRequest  # type: ignore[assignment]  # the stubs know the string only; celery takes the class
    throws = (DeadLetteredError,)  # logged in one line: the dead letter has the story

    @property
    def services(self) -> Services:
        """What this process works with."""
        return services()

    @contextmanager
    def job(self, *args: object, **kwargs: object) -> Iterator[Ours]:
        """The job of this message, claimed. An error inside is settled by its disposition: see worker.settling."""
        message = TaskMessage.from_json(self.request.get("task_message"))
        with bind(job_id=self.request.id):
            ours = self._claim(message, args, kwargs)
            try:
                yield from self._settled(message, ours)
            finally:
                with suppress(StoreError):  # the lease ends by itself
                    ours.release()

    def _claim(self, message: TaskMessage, args: Sequence[object], kwargs: Mapping[str, Any]) -> Ours:
        try:
            job = Job.from_message(self.request.id, args, kwargs, message.queue)
            claim = self.services.claims.claim(job)
        except (InvalidJobError, JobConflictError) as error:
            Settling(self.services, message, _own_id(message)).settle(error)
        except HmtPassError as error:
            Settling(self.services, message, str(self.request.id)).settle(error)
        return Ours(claim, self.services)

    def _settled(self, message: TaskMessage, ours: Ours) -> Iterator[Ours]:
        settling = Settling(self.services, message, ours.job.job_id)
        try:
            yield ours
            log.info("job.finished", **{name: value for name, value in ours.outcome.items() if name != "job_id"})
            if "dead_at" in ours.claim.fields:  # enqueued again after it died: its dead letter is answered
                self.services.dead_letters.discard(ours.job.job_id)
        except HmtPassError as error:
            settling.settle(error, ours)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  any bug is a dead letter
            bug = BugError(error)
            log.error("job.bug", reason=bug.reason, traceback="".join(traceback.format_tb(error.__traceback__)))
            settling.settle(bug, ours)


def _own_id(message: TaskMessage) -> str:
    """An id for a message that has none of its own, the same whenever it is delivered."""
    return f"invalid-{hashlib.sha256(message.body + repr(sorted(message.headers.items())).encode()).hexdigest()[:24]}"
