"""What the harness asks of a broker, on Redis and on RabbitMQ: where messages are, without moving one."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

from hmt_pass import keys
from hmt_pass.job import DEAD_LETTER_QUEUE, Lane
from hmt_pass.store import Store

STOCK_BOOKED = "unacked"  # kombu's own


class Held(Protocol):
    """The messages that a broker holds."""

    def waiting(self) -> tuple[str, ...]:
        """The job id of every message on a queue, delayed or booked; "?" for one that cannot be looked at."""

    def dead(self) -> tuple[str, ...]:
        """The job id of every message on the dead-letter queue."""

    def letters(self) -> dict[str, str]:
        """The index of the dead letters: job id -> its entry as JSON."""


class HeldByRedis:
    """All that lies in the broker's Redis."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def waiting(self) -> tuple[str, ...]:
        queued = [entry for lane in Lane for entry in self._store.lrange(lane.queue, 0, -1)]
        delayed = [str(job_id) for job_id in self._store.zrange(keys.DELAYED, 0, -1)]
        return (*map(_job_id, queued), *delayed, *self._booked())

    def dead(self) -> tuple[str, ...]:
        return tuple(_job_id(entry) for entry in self._store.lrange(DEAD_LETTER_QUEUE, 0, -1))

    def letters(self) -> dict[str, str]:
        return {str(job_id): str(text) for job_id, text in self._store.hgetall(keys.DEAD_LETTERS).items()}

    def _booked(self) -> Iterator[str]:
        for kept in self._store.hvals("hmt_pass:booked"):
            yield _job_id(kept.partition("\n")[2])
        for kept in self._store.hvals(STOCK_BOOKED):
            yield _job_id(json.loads(kept)[0])


def _job_id(entry: Any) -> str:  # noqa: ANN401  a list entry or what it holds
    with suppress(ValueError, LookupError, TypeError):
        message = json.loads(entry) if isinstance(entry, str) else entry
        return str(message["headers"]["id"])
    return "?"
