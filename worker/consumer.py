"""The consumer: celery's, which no message can stop and which throws none away.

celery deletes what it cannot decode and what names a task that it does not know, exits on a body that is no list, and
takes a message without an id for a broken connection, for ever. Here all of them become dead letters. One that was read
is a job; when the pool cannot take it, it goes back.

Written against celery 5.7.0; tests/contract/test_celery_contract.py fails when what it builds on has changed.
"""

import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from celery.utils.log import get_logger
from celery.worker import consumer as celery_consumer
from celery.worker.request import Request
from celery.worker.state import task_ready
from kombu.exceptions import OperationalError
from kombu.message import Message

from hmt_pass.errors import HmtPassError
from worker import pulse, unreadable
from worker.envelope import TaskMessage
from worker.observe import log
from worker.outcomes import UnknownTaskError, UnreadableMessageError
from worker.settling import GIVE_BACK_PAUSE_S
from worker.task import JobTask

logger = get_logger(__name__)
_Consumer: Any = celery_consumer.Consumer  # the stubs leave out most of what is built on here


class Consumer(_Consumer):  # type: ignore[misc]  # see above
    """Every message ends in a task, or as a dead letter."""

    _read: Request | None = None  # what celery has made of the message in hand: a job, so the message is sound

    def update_strategies(self) -> None:
        """Know our own tasks only: a message for one of celery's built-in ones would be acknowledged and do nothing."""
        super().update_strategies()
        for name, task in self.app.tasks.items():
            strategy = self.strategies.pop(name)
            if isinstance(task, JobTask):
                self.strategies[name] = self.noting(strategy)

    def noting(self, strategy: Callable[..., object]) -> Callable[..., object]:
        """The same way from a message to the pool as celery's; notes when the message is read."""

        def take(message: Message, body: object, ack: object, reject: object, callbacks: Iterable[object]) -> object:
            return strategy(message, body, ack, reject, [self._note, *callbacks])

        return take

    def _note(self, request: Request) -> None:
        self._read = request

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Message], object]:  # noqa: ANN401  celery's
        """The handler of one message; what it raises until that is read is its fault, unless the connection broke."""
        handle = super().create_task_handler(*args, **options)
        broken = tuple(error for error in self.connection_errors if error is not KeyError)

        def handle_any(message: Message) -> None:
            pulse.felt()
            try:
                handle(message)
            except (*broken, OperationalError):
                raise
            except Exception as error:  # noqa: BLE001  a message may be anything
                if self._read:
                    _give_back(self._read, error)
                else:
                    self._bury(message, UnreadableMessageError(type(error).__name__))
            else:
                if self._read:
                    pulse.handed_over()
            finally:
                self._read = None

        return handle_any

    def on_unknown_message(self, body: object, message: Message) -> None:
        """A message that is not for celery."""
        del body
        self._bury(message, UnreadableMessageError("it names no task"))

    def on_unknown_task(self, body: object, message: Message, exc: Exception) -> None:
        """A message for a task that this worker does not have."""
        del body, exc
        self._bury(message, UnknownTaskError(str(message.headers.get("task"))))

    def on_invalid_task(self, body: object, message: Message, exc: Exception) -> None:
        """A message whose headers or body celery does not accept."""
        del body
        self._bury(message, UnreadableMessageError(type(exc).__name__))

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """A message whose body cannot be decoded."""
        self._bury(message, UnreadableMessageError(type(exc).__name__))

    def _bury(self, message: Message, error: HmtPassError) -> None:
        if unreadable.bury(TaskMessage.received(message), error):
            message.ack_log_error(logger, self.connection_errors)
        else:
            time.sleep(GIVE_BACK_PAUSE_S)
            message.reject_log_error(logger, self.connection_errors, requeue=True)


def _give_back(request: Request, error: Exception) -> None:
    """The message of a job that the pool did not take; worker.heartbeat ends a worker in which that goes on."""
    pulse.refused()
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("job.not_taken", job_id=request.id, error=type(error).__name__, traceback=where)
    time.sleep(GIVE_BACK_PAUSE_S)
    try:
        request.reject(requeue=True)
    finally:
        task_ready(request)
