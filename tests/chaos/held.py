"""What the harness asks of a broker, on Redis and on RabbitMQ: where messages are, without moving one."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, Self

import kombu
from amqp.exceptions import NotFound
from kombu.transport.native_delayed_delivery import level_name

from hmt_pass import keys
from hmt_pass.job import DEAD_LETTER_QUEUE, Lane
from hmt_pass.store import Store

STOCK_BOOKED = "unacked"  # kombu's own
ADDED = ("hmt_pass_", "x-")  # headers of ours and of RabbitMQ's
# The delays of up to two minutes; no test waits longer.
WORK_QUEUES = (*(lane.queue for lane in Lane), *map(level_name, range(7)))


@dataclass(frozen=True, slots=True)
class Buried:
    """A message of the dead-letter queue: its own headers as JSON, without what was added since, and its body."""

    headers: str
    body: bytes

    @classmethod
    def of(cls, headers: Mapping[str, Any], body: bytes) -> Self:
        own = {name: value for name, value in headers.items() if not name.startswith(ADDED)}
        return cls(json.dumps(own, sort_keys=True), body)

    @property
    def job_id(self) -> str:
        return str(json.loads(self.headers).get("id"))


class Held(Protocol):
    """The messages that a broker holds."""

    def waiting(self) -> tuple[str, ...]:
        """The job id of every message on a queue, delayed or booked; "?" for one that cannot be looked at."""

    def buried(self) -> list[Buried]:
        """Every message on the dead-letter queue."""

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

    def buried(self) -> list[Buried]:
        entries = [json.loads(entry) for entry in self._store.lrange(DEAD_LETTER_QUEUE, 0, -1)]
        return [Buried.of(entry["headers"], base64.b64decode(entry["body"])) for entry in entries]

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


class HeldByRabbit:
    """RabbitMQ does not show what it holds without handing it out, so what waits is counted; the index is in Redis."""

    def __init__(self, url: str, store: Store) -> None:
        self._url = url
        self._store = store

    def waiting(self) -> tuple[str, ...]:
        with kombu.Connection(self._url) as connection:
            return ("?",) * sum(_depth(connection, name) for name in WORK_QUEUES)

    def buried(self) -> list[Buried]:
        with kombu.Connection(self._url) as connection:
            if not _depth(connection, DEAD_LETTER_QUEUE):
                return []
            queue = kombu.Queue(DEAD_LETTER_QUEUE)(connection.channel())
            return [Buried.of(message.headers, _bytes(message.body)) for message in iter(queue.get, None)]

    def letters(self) -> dict[str, str]:
        return {str(job_id): str(text) for job_id, text in self._store.hgetall(keys.DEAD_LETTERS).items()}

    def empty(self) -> None:
        """Delete every queue of ours, for the next test."""
        with kombu.Connection(self._url) as connection:
            for name in (*WORK_QUEUES, DEAD_LETTER_QUEUE):
                connection.channel().queue_delete(name)


def _bytes(body: str | bytes | None) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _depth(connection: kombu.Connection, queue: str) -> int:
    channel = connection.channel()
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except NotFound:
        return 0
