"""The Redis transport: kombu's, without the moment in which a killed worker loses the message that it has just taken.

kombu pops a message with BRPOP and books it in a second round trip; a kill between the two loses it, and one lost
connection has every job in flight run again. Here worker.bookings takes and books in one script, and a booking lives
as long as its process says so, whatever becomes of the connection. docs/reliability.md has the measurements.

Written against kombu 5.7.0; tests/contract/test_transport_contract.py fails when what it builds on has changed.
"""

import hashlib
import json
import time
import uuid
from queue import Empty
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from redis.exceptions import NoScriptError, ResponseError

from hmt_pass import keys
from hmt_pass.errors import SettingsError
from worker import unreadable
from worker.bookings import TAKE
from worker.services import services

# How long an idle worker lets Redis wait for a message. With one queue the wait ends when a message comes; with more
# the first is watched so, and the others are looked at when it ends.
WAIT_S = 1.0
WAIT_BESIDE_OTHERS_S = 0.25
_TAKE_SHA = hashlib.sha1(TAKE.encode(), usedforsecurity=False).hexdigest()  # as Redis names a script
# The stubs leave out most of what is built on here.
_QoS: Any = kombu_redis.QoS
_Channel: Any = kombu_redis.Channel
_Transport: Any = kombu_redis.Transport


class QoS(_QoS):  # type: ignore[misc]  # see above
    """What a channel has delivered and not acknowledged; worker.bookings is the truth about it."""

    restore_at_shutdown = False  # a channel may close because the connection broke: its jobs still run

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401  kombu's message
        """Count the message against the prefetch limit; it is booked already."""
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Take the message off the books."""
        services().booked.acknowledge(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Put the message back in its place, or take it off the books."""
        if requeue:
            services().booked.give_back(delivery_tag)
            virtual.QoS.ack(self, delivery_tag)
        else:
            self.ack(delivery_tag)

    def restore_visible(self, *_: object, **__: object) -> None:
        """Nothing: worker.housekeeping restores what has lapsed."""


class Channel(_Channel):  # type: ignore[misc]  # see above
    """kombu's channel, taking messages by script. The one that waits for them belongs to the event loop."""

    QoS = QoS

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  passed through to kombu
        self._without_booking: set[str] = set()
        self._tag: str | None = None  # of the booking that is being made; None while Redis only waits
        self._look_first = True
        super().__init__(*args, **options)
        self._refuse_cluster()

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **options: Any) -> Any:  # noqa: ANN401  kombu's
        """Remember which queues need no acknowledgement: replies to remote control."""
        if no_ack:
            self._without_booking.add(queue)
        return super().basic_consume(queue, no_ack, *args, **options)

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Send the next command on the connection that the event loop watches: take a message, or wait for one."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues or not self._without_booking.isdisjoint(queues):
            super()._brpop_start(timeout)
            return
        connection = self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()
        if self._look_first:
            self._tag = uuid.uuid4().hex
            names = [*queues, keys.BOOKED, keys.BOOKED_BY_TIME]
            connection.send_command("EVALSHA", _TAKE_SHA, len(names), *names, self._tag)
        else:
            self._tag = None
            watched = self.active_queues
            wait_s = WAIT_S if len(watched) == 1 else WAIT_BESIDE_OTHERS_S
            # Moves the next message onto itself: a wait that takes nothing.
            connection.send_command("BLMOVE", watched[0], watched[0], "RIGHT", "RIGHT", wait_s)

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401  passed through to redis-py
        """Deliver what was taken. Raises queue.Empty when there was nothing, as kombu expects."""
        if not self._without_booking.isdisjoint(self.active_queues):
            return bool(super()._brpop_read(**options))
        tag = self._tag
        try:
            taken = self._answer(tag, **options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if tag is None:
            self._look_first = True
            raise Empty
        if not taken:
            self._look_first = False
            raise Empty
        queue, entry = taken
        self._queue_cycle.rotate(queue.decode())
        self._hand_over(tag, queue.decode(), entry)
        return True

    def _answer(self, tag: str | None, **options: Any) -> Any:  # noqa: ANN401  redis-py's types
        connection = self.client.connection
        try:
            return self.client.parse_response(connection, "EVALSHA", **options)
        except NoScriptError:
            with self.conn_or_acquire() as client:
                client.script_load(TAKE)
            raise Empty from None
        except self.connection_errors:
            connection.disconnect()
            if tag:  # Redis may have made the booking and we never heard of it
                services().booked.give_back(tag)
            raise

    def _hand_over(self, tag: str, queue: str, entry: bytes) -> None:
        """Deliver a booked entry; what is no message at all becomes a dead letter with its bytes."""
        booked = services().booked
        if self._closing:
            booked.give_back(tag)
            return
        booked.taken(tag)
        try:
            payload = json.loads(entry)
            payload["properties"]["delivery_tag"] = tag
            self.message_to_python(payload)
        except Exception as error:  # noqa: BLE001  a queue may hold anything: text, numbers, lists, bad base64
            if unreadable.bury_entry(queue, entry, type(error).__name__):
                booked.acknowledge(tag)
            else:
                booked.give_back(tag)
            return
        self.connection._deliver(payload, queue)  # noqa: SLF001  as kombu's own channel does

    def _refuse_cluster(self) -> None:
        try:
            enabled = self.client.info("cluster").get("cluster_enabled")
        except ResponseError:  # an ACL without INFO; the scripts would tell soon enough
            return
        if enabled:
            raise SettingsError(
                "the broker is a Redis Cluster, where one script cannot reach a queue and its bookings; "
                "use a single Redis or Valkey, with a replica if you like, or RabbitMQ"
            )


class Transport(_Transport):  # type: ignore[misc]  # see above
    """kombu's Redis transport with our channel."""

    Channel = Channel
