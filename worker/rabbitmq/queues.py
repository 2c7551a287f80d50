"""The queues on RabbitMQ, and how a task message is put on any of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from hmt_pass.queues import EXCHANGE, work_queues
from hmt_pass.rabbit import Publisher, Rabbit
from worker.envelope import TaskMessage


def send(
    publisher: Publisher,
    message: TaskMessage,
    exchange: str,
    routing_key: str,
    extra_headers: Mapping[str, Any] | None = None,
) -> None:
    """Send the message as it is."""
    publisher.publish(
        message.body,
        exchange=exchange,
        routing_key=routing_key,
        headers={**message.headers, **(extra_headers or {})},
        content_type=message.content_type or "application/octet-stream",
        content_encoding=message.content_encoding or "binary",
    )


class RabbitQueues:
    """worker.broker.Queues on RabbitMQ."""

    def __init__(self, rabbit: Rabbit, url: str) -> None:
        self._rabbit = rabbit
        self._queues = {queue.name: queue for queue in work_queues(url)}

    def declare(self, publisher: Publisher) -> None:
        """Declare the queues, once a connection."""
        for queue in self._queues.values():
            publisher.maybe_declare(queue)

    def publish(self, message: TaskMessage) -> None:
        """See worker.broker.Queues."""
        self.publish_all([message])

    def publish_all(self, messages: Sequence[TaskMessage]) -> None:
        """The same for many, with one wait for the confirmations of all."""
        with self._rabbit.confirmed() as publisher:
            self.declare(publisher)
            for message in messages:
                send(publisher, message, EXCHANGE.name, message.home)

    def waiting(self, queue: str) -> int:
        """See worker.broker.Queues."""
        return self._rabbit.depth(queue)

    def in_hand(self) -> set[str]:
        """None that matter: RabbitMQ gives back the messages of a worker whose connection has ended."""
        return set()
