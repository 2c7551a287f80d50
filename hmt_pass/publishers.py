"""The connections that a producer publishes on when the broker is a Redis; hmt_pass.rabbit has those to RabbitMQ."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import celery
import kombu
from kombu.exceptions import BatchPublishError, OperationalError  # type: ignore[attr-defined]  # newer than its types

from hmt_pass.errors import StoreError


class Publishers:
    """kombu's connections, each used by one thread at a time; as many as threads publish at once.

    Instead of Celery's pool: it has ten, and the eleventh thread waits without a limit while the ten wait for a broker
    that is silent. Its size is kombu's for the whole process, so one app of the process would change another's.
    """

    def __init__(self, app: celery.Celery, url: str) -> None:
        self._connect = partial(app.connection_for_write, url)
        self._idle: dict[int, list[kombu.Connection]] = {}  # by process: a forked child must not share a connection

    @contextmanager
    def confirmed(self, messages: int) -> Iterator[kombu.Producer]:
        """A publisher for so many messages, which go in one round trip. Raises StoreError when the broker fails."""
        idle = self._idle.setdefault(os.getpid(), [])
        connection: Any = _taken(idle) or self._connect()  # the types know neither `batch` nor the tuples of errors
        publisher = connection.Producer()
        failures = (OperationalError, *connection.connection_errors, *connection.channel_errors)
        with _translated(failures), publisher.batch(messages) if messages > 1 else nullcontext():
            yield publisher
        idle.append(connection)


def _taken(idle: list[kombu.Connection]) -> kombu.Connection | None:
    try:
        return idle.pop()
    except IndexError:
        return None


@contextmanager
def _translated(errors: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise StoreError(str(error)) from None
    except BatchPublishError as error:  # around whatever happened meanwhile, the caller's own time limit included
        if isinstance(error.__cause__, errors):
            raise StoreError(str(error.__cause__)) from None
        raise error.__cause__ or error from None
