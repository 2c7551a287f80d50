"""The consumer: celery's, which no message can stop and which throws none away.

celery deletes what it cannot decode and what names a task that it does not know, exits on a body that is no list, and
takes a message without an id for a broken connection, for ever. Here all of them become dead letters.

Written against celery 5.7.0; tests/contract/test_celery_contract.py fails when what it builds on has changed.
"""

import time
from collections.abc import Callable
from typing import Any

from celery.utils.log import get_logger
from celery.worker import consumer as celery_consumer
from kombu.exceptions import OperationalError
from kombu.message import Message

from hmt_pass.errors import HmtPassError
from worker import pulse, unreadable
from worker.envelope import TaskMessage
from worker.outcomes import UnknownTaskError, UnreadableMessageError
from worker.settling import GIVE_BACK_PAUSE_S
from worker.task import JobTask

logger = get_logger(__name__)
_Consumer: Any = celery_consumer.Consumer  # the stubs leave out most of what is built on here


class Consumer(_Consumer):  # type: ignore[misc]  # see above
    """Every message ends in a task, or as a dead letter."""

    def update_strategies(self) -> None:
        """Know our own tasks only: a message for one of celery's built-in ones would be acknowledged and do nothing."""
        super().update_strategies()
        for name, task in self.app.tasks.items():
            if not isinstance(task, JobTask):
                self.strategies.pop(name, None)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Message], object]:  # noqa: ANN401  celery's
        """The handler of one message; what it raises is the message's fault, unless the connection broke."""
        handle = super().create_task_handler(*args, **options)
        broken = tuple(error for error in self.connection_errors if error is not KeyError)

        def handle_any(message: Message) -> object:
            pulse.felt()
            try:
                return handle(message)
            except (*broken, OperationalError):
                raise
            except Exception as error:  # noqa: BLE001  a message may be anything
                self._bury(message, UnreadableMessageError(type(error).__name__))
                return None

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
