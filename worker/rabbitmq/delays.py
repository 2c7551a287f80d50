"""Jobs that wait for their time, on RabbitMQ: kombu's native delays, 28 quorum queues of 1 s, 2 s, 4 s and so on.

A message passes through those whose sum is its delay, and nobody needs to be there when its time comes.
"""

import math
from contextlib import suppress
from datetime import UTC, datetime

from kombu.transport.native_delayed_delivery import (
    MAX_LEVEL,
    bind_queue_to_native_delayed_delivery_exchange,
    calculate_routing_key,
    declare_native_delayed_delivery_exchanges_and_queues,
    level_name,
)

from hmt_pass import keys
from hmt_pass.errors import StoreError
from hmt_pass.queues import work_queues
from hmt_pass.rabbit import Publisher, Rabbit
from hmt_pass.store import Store
from worker.envelope import TaskMessage
from worker.rabbitmq.queues import send

SET_ASIDE_S = 2

_NOTE = """
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] + time[2] / 1000000 + ARGV[2], ARGV[1])
"""

_FORGET = """
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1] + time[2] / 1000000)
"""


class RabbitDelays:
    """worker.broker.Delays on RabbitMQ. Redis only notes when each wait ends, for those who ask."""

    def __init__(self, rabbit: Rabbit, url: str, store: Store) -> None:
        self._rabbit = rabbit
        self._queues = work_queues(url)
        self._store = store
        self._note = store.register_script(_NOTE)
        self._forget = store.register_script(_FORGET)
        self._declared = False

    def put(self, job_id: str, message: TaskMessage, delay_s: float) -> None:
        """See worker.broker.Delays; whole seconds, rounded up, at least 1. A second wait does not end the first."""
        seconds = max(1, math.ceil(delay_s))
        self._send(message, seconds)
        with suppress(StoreError):  # the message is safe, and that is what counts
            self._note(keys=[keys.DELAYED], args=[job_id, seconds])

    def set_aside(self, message: TaskMessage) -> bool:
        """Have the message back in SET_ASIDE_S, so that it can be acknowledged now: always True.

        Giving it back unacknowledged would spend one of its DELIVERY_LIMIT deliveries each time.
        """
        self._send(message, SET_ASIDE_S)
        return True

    def move_due(self, limit: int = 200) -> int:  # noqa: ARG002  the limit of worker.broker.Delays
        """Forget the waits that have ended; RabbitMQ moves the messages itself."""
        self._forget(keys=[keys.DELAYED])
        return 0

    def due_at(self, job_id: str) -> str | None:
        """See worker.broker.Delays."""
        due = self._store.zscore(keys.DELAYED, job_id)
        return datetime.fromtimestamp(due, UTC).isoformat(timespec="milliseconds") if due else None

    def _send(self, message: TaskMessage, seconds: int) -> None:
        declared, self._declared = self._declared, False  # after a failure everything is looked at anew
        with self._rabbit.confirmed() as publisher:
            if not declared:
                self._declare(publisher)
            send(publisher, message, level_name(MAX_LEVEL), calculate_routing_key(seconds, message.home))
        self._declared = True

    def _declare(self, publisher: Publisher) -> None:
        """As celery's worker does at its start, where a failure is only logged."""
        connection = publisher.amqp
        declare_native_delayed_delivery_exchanges_and_queues(connection, "quorum")
        for queue in self._queues:
            publisher.maybe_declare(queue)
            bind_queue_to_native_delayed_delivery_exchange(connection, queue)
