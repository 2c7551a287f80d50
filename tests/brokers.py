"""The brokers that the integration tests run on, seen from outside: what lies in a queue, and what can befall it."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from amqp.exceptions import NotFound
from kombu.message import Message
from kombu.transport.native_delayed_delivery import MAX_LEVEL, level_name

from hmt_pass.job import DEAD_LETTER_QUEUE, Lane
from hmt_pass.queues import EXCHANGE, work_queues
from hmt_pass.rabbit import Rabbit
from hmt_pass.store import Store, connect
from local.rabbitmq import RabbitServer
from local.redis import RedisServer
from local.stage import until
from worker.envelope import TaskMessage

BROKERS = ["redis", "rabbitmq"]
# RabbitMQ 3.10 leaves a queue without a leader that it made in the second before it was killed: docs/operations.md
QUEUES_WRITTEN_S = 3.0


@dataclass(frozen=True, slots=True)
class Lying:
    """A message that lies in a queue."""

    headers: dict[str, Any]
    body: bytes

    @property
    def kwargs(self) -> dict[str, Any]:
        kwargs: dict[str, Any] = json.loads(self.body)[1]
        return kwargs


class Broker(Protocol):
    url: str

    def push(self, entry: dict[str, Any]) -> None:
        """Enqueue what another language's producer writes; `entry` as in docs/protocol.md."""

    def look(self, queue: str) -> list[Lying]:
        """What lies in a queue, oldest first. Takes nothing out."""

    def break_connections(self) -> None: ...


class RedisBroker:
    def __init__(self, server: RedisServer) -> None:
        self.url = server.url

    def push(self, entry: dict[str, Any]) -> None:
        with connect(self.url) as store:
            store.lpush(Lane.INTERACTIVE.queue, json.dumps(entry))

    def look(self, queue: str) -> list[Lying]:
        with connect(self.url) as store:
            return look_in_redis(store, queue)

    def break_connections(self) -> None:
        with connect(self.url) as store:
            store.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def look_in_redis(store: Store, queue: str) -> list[Lying]:
    entries = [json.loads(entry) for entry in reversed(store.lrange(queue, 0, -1))]
    return [Lying(entry["headers"], base64.b64decode(entry["body"])) for entry in entries]


class RabbitBroker:
    def __init__(self, server: RabbitServer) -> None:
        self.server = server
        self.url = server.url
        self.rabbit = Rabbit(server.url)

    def push(self, entry: dict[str, Any]) -> None:
        with self.rabbit.confirmed() as publisher:
            publisher.publish(
                base64.b64decode(entry["body"]),
                headers=entry["headers"],
                content_type=entry["content-type"],
                content_encoding=entry["content-encoding"],
                exchange=EXCHANGE,
                routing_key=Lane.INTERACTIVE.queue,
                declare=work_queues(self.url),
            )

    def look(self, queue: str) -> list[Lying]:
        with self.rabbit.channel() as channel:
            try:
                messages = list(_got(channel, queue))
            except NotFound:
                return []
            for message in messages:
                message.requeue()
        until(lambda: self.rabbit.depth(queue) == len(messages), 1)  # RabbitMQ puts them back a little later
        return [Lying(message.headers, TaskMessage.received(message).body) for message in messages]

    def break_connections(self) -> None:
        self.server.control("close_all_connections", "a test")

    def clear(self) -> None:
        """Leave nothing behind for the next test."""
        delays = [level_name(level) for level in range(MAX_LEVEL + 1)]
        used = [name for name in delays if self.rabbit.depth(name)]
        with self.rabbit.channel() as channel:
            for name in (*(lane.queue for lane in Lane), DEAD_LETTER_QUEUE, *used):
                channel.queue_delete(name)


def _got(channel: Any, queue: str) -> Iterator[Message]:  # noqa: ANN401  py-amqp has no types
    while (raw := channel.basic_get(queue)) is not None:
        yield channel.message_to_python(raw)
