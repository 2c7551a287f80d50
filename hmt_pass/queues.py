"""The queues of a broker, for producer and worker alike: two that declare a queue differently shut each other out.

On Redis a queue is a list and needs nothing. On RabbitMQ it is a quorum queue, which survives a killed broker, bound to
a topic exchange, because a message that comes back from a delay has the delay in front of its routing key.
"""

from typing import Any

from kombu import Exchange, Queue

from hmt_pass.job import DEAD_LETTER_QUEUE, Lane

RABBIT_SCHEMES = ("amqp://", "amqps://")
EXCHANGE = Exchange("hmt_pass", type="topic", durable=True)
# A backstop: the worker counts a job's deaths itself and buries it sooner. What is handed out more often than this
# without coming to an end goes to the dead-letter queue; the broker's own limit (20 from version 4 on) would delete it.
DELIVERY_LIMIT = 50
# Looking through the dead letters hands out each of them. "No limit" is written differently by versions 3 and 4, and a
# queue that outlives an update must be declared alike by both.
ENDLESS = 2**31 - 1

_QUORUM = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}  # a full queue refuses; it does not forget
_WORK = {
    **_QUORUM,
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD_LETTER_QUEUE,
    "x-dead-letter-strategy": "at-least-once",
}


def is_rabbit(broker_url: str) -> bool:
    """Whether the URL names a RabbitMQ."""
    return broker_url.startswith(RABBIT_SCHEMES)


def work_queues(broker_url: str) -> list[Queue]:
    """The queues that jobs wait in, one a lane."""
    if not is_rabbit(broker_url):
        return [Queue(lane.queue, routing_key=lane.queue) for lane in Lane]
    return [Queue(lane.queue, EXCHANGE, routing_key=lane.queue, queue_arguments=_WORK) for lane in Lane]


def dead_letter_queue() -> Queue:
    """RabbitMQ's queue of dead letters, reached through the default exchange."""
    return Queue(DEAD_LETTER_QUEUE, queue_arguments={**_QUORUM, "x-delivery-limit": ENDLESS})


def tls(broker_url: str) -> dict[str, Any] | bool:
    """How to check the server's certificate; kombu alone would take one that is valid for another host."""
    return {"server_hostname": None} if broker_url.startswith("amqps://") else False
