"""The base of every task on photos: the job behind the message, its services, its log context, and how it ends."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.concurrency.base import BasePool
from celery.exceptions import InvalidTaskError
from celery.worker.request import Request
from kombu.message import Message

from hmt_pass.codes import Disposition
from hmt_pass.errors import HmtPassError, InvalidJobError, JobConflictError, StoreError
from hmt_pass.job import Job
from worker import children, spans, unreadable
from worker.envelope import TaskMessage
from worker.observe import log
from worker.outcomes import DeadLetteredError
from worker.results import Ours
from worker.services import Services, services
from worker.settling import Settling, bug
from worker.turnstile import in_turn

PATIENCE_S = 20.0  # for a turn, with nothing but the message in hand


class JobRequest(Request):
    """celery's request, which also keeps the message as it came: what a delay, a dead letter or a redrive moves."""

    def __init__(self, message: Message, **options: Any) -> None:  # noqa: ANN401  passed through to celery
        _check_body(message.payload)
        super().__init__(message, **options)
        self.request_dict["task_message"] = TaskMessage.received(message).to_json()
        self.request_dict.pop("expires", None)
        self._expires = None  # celery would drop an expired message without a trace
        self._eta = None  # and hold one for later in memory, unacknowledged
        self.time_limits = (None, None)  # and cut a call short, or stumble over a pair that is none

    def revoked(self) -> bool:
        """Never: celery would drop the message without a trace. A job is taken back by discarding its dead letter."""
        return False

    def cancel(self, pool: BasePool, signal: int | None = None, emit_retry: bool = True) -> None:  # noqa: FBT  celery's
        """End the job at a cold shutdown, though it is shielded from celery's SIGTERM. Its message goes back."""
        super().cancel(pool, signal or children.COLD_SIGNAL, emit_retry=emit_retry)


def _check_body(body: object) -> None:
    """Raises InvalidTaskError, which is a dead letter; later celery would take such a message for a success."""
    match body:
        case [list(), dict(), *_]:
            return
    raise InvalidTaskError("the body is not a list of arguments and keyword arguments")


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
    def job(self, args: Sequence[object], kwargs: Mapping[str, object]) -> Iterator[Ours]:
        """The job of this message, claimed. An error inside is settled by its disposition: see worker.settling."""
        message = TaskMessage.from_json(self.request.get("task_message"))
        with spans.run(str(self.name), message, job_id=self.request.id):
            ours = self._claim(message, args, kwargs)
            try:
                yield from self._settled(message, ours)
            finally:
                with suppress(StoreError):  # the lease ends by itself
                    ours.release()

    def _claim(self, message: TaskMessage, args: Sequence[object], kwargs: Mapping[str, object]) -> Ours:
        job_id = str(self.request.id)
        failure: HmtPassError
        try:
            job = Job.from_message(self.request.id, args, kwargs, message.queue)
            return Ours(in_turn(lambda: self.services.claims.claim(job), PATIENCE_S), self.services)
        except InvalidJobError as error:
            job_id, failure = unreadable.letter_id(self.services, message), error
        except JobConflictError as error:
            job_id, failure = unreadable.own_id(message), error
        except HmtPassError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  any bug is a dead letter
            failure = bug(error)
        Settling(self.services, message, job_id).settle(failure)
        raise failure  # settling it has raised for celery

    def _settled(self, message: TaskMessage, ours: Ours) -> Iterator[Ours]:
        settling = Settling(self.services, message, ours.job.job_id, ours.claim)
        try:
            yield ours
        except HmtPassError as error:
            settling.settle(error, ours)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # any bug is a dead letter
            if children.is_told_to_end():
                raise  # its message goes back: billiard tells the parent that the process is lost
            settling.settle(bug(error), ours)
        else:
            spans.ended(Disposition.DONE, **ours.outcome)
        if ours.ended_now:
            log.info("job.finished", state=ours.outcome["state"], code=ours.outcome["code"])
        settling.bury(ours)
