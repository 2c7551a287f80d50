"""The RabbitMQ connections that producer and worker share, with the errors of kombu and py-amqp turned into ours.

Everything here ends within a time: a broker that is frozen, or takes no messages because its memory is full, makes
the libraries wait for ever.
"""

import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import kombu
from amqp.exceptions import NotFound
from kombu.exceptions import OperationalError
from kombu.transport.pyamqp import Transport

from hmt_pass.errors import SettingsError, StoreError
from hmt_pass.queues import tls

ERRORS: tuple[type[Exception], ...] = (OperationalError, *Transport.connection_errors, *Transport.channel_errors)


class Publisher(kombu.Producer):
    """kombu's producer on a connection of its own; sends at once, and `confirm` waits for all that was sent.

    py-amqp's own confirm mode waits for each message, and takes a confirmation that comes late for the next one's.
    """

    def __init__(self, connection: kombu.Connection, channel: Any) -> None:  # noqa: ANN401  py-amqp has no types
        super().__init__(channel, on_return=self._on_return)
        self.client = connection
        self.amqp: Any = channel.connection
        self._sent = 0
        self._open: set[int] = set()  # delivery tags that the broker has not confirmed
        self._refusal = ""
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        self.amqp.on_blocked = self._on_blocked
        channel.confirm_select()

    def publish(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  kombu's arguments
        """Send a message that must reach a queue. An error leaves the connection unusable: nothing is repeated here."""
        super().publish(*args, **{**options, "mandatory": True, "retry": False})
        self._sent += 1
        self._open.add(self._sent)

    def confirm(self, timeout_s: float) -> None:
        """Return when the broker has everything safe. Raises StoreError, or an error of the libraries."""
        deadline = time.monotonic() + timeout_s
        while self._open or self._refusal:
            if self._refusal:
                raise StoreError(f"RabbitMQ: {self._refusal}")
            self._drain(max(deadline - time.monotonic(), 0.001))

    def check(self) -> None:
        """Find out whether the connection was closed while nobody used it; raises an error of the libraries."""
        with suppress(TimeoutError):
            self._drain(0)

    def abandon(self) -> None:
        """Close the socket without a word: a connection that failed may not answer a goodbye."""
        self.amqp.collect()

    def close(self) -> None:
        """Take leave, so that the broker's log tells of no lost connection."""
        with suppress(*ERRORS):
            self.amqp.close()

    def _drain(self, timeout_s: float) -> None:
        self.amqp.drain_events(timeout=timeout_s)

    def _on_ack(self, tag: int, multiple: bool) -> None:  # py-amqp passes both by position
        self._open = {number for number in self._open if number > tag} if multiple else self._open - {tag}

    def _on_nack(self, *_: object) -> None:
        self._refusal = "the queue refused the message"

    def _on_return(self, _error: object, _exchange: object, routing_key: str, _message: object) -> None:
        self._refusal = f"no queue takes {routing_key}"

    def _on_blocked(self, reason: str) -> None:
        self._refusal = f"takes no messages now: {reason}"


class Rabbit:
    """One RabbitMQ. Thread-safe: each connection is used by one thread at a time, and none is opened before it is used.

    Every method raises StoreError when it does not answer: connecting, each answer and the confirmations of a block
    have a time limit each.
    """

    def __init__(self, url: str, *, connect_timeout_s: float = 3.0, answer_timeout_s: float = 5.0) -> None:
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._idle: dict[int, list[Publisher]] = {}  # by process: a forked child must not share a connection
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def confirmed(self) -> Iterator[Publisher]:
        """A publisher; everything published in the block is safe when it ends."""
        with self._borrowed() as publisher:
            yield publisher
            publisher.confirm(self._answer_timeout_s)

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A channel for anything but publishing; closed when the block ends, with what was got and not acknowledged."""
        with self._borrowed() as publisher:
            channel = publisher.amqp.channel()
            yield channel
            channel.close()

    def depth(self, queue: str) -> int:
        """How many messages of a queue nobody has taken; none in one that nobody has declared yet."""
        with self.channel() as channel:
            try:
                return int(channel.queue_declare(queue, passive=True).message_count)
            except NotFound:
                return 0

    def version(self) -> str:
        """The server's version."""
        with self._borrowed() as publisher:
            return str(publisher.amqp.server_properties["version"])

    @contextmanager
    def _borrowed(self) -> Iterator[Publisher]:
        """A connection from the pool; it goes back if the block ends well, and is dropped if it does not."""
        idle = self._idle.setdefault(os.getpid(), [])
        with _translated():
            publisher = self._checked(idle) or self._connect()
            try:
                yield publisher
            except BaseException:
                publisher.abandon()
                while idle:  # what was true of this one is likely true of those: a queue that is gone, a broker
                    idle.pop().abandon()
                raise
            idle.append(publisher)

    def _checked(self, idle: list[Publisher]) -> Publisher | None:
        while idle:
            publisher = idle.pop()
            try:
                publisher.check()
            except ERRORS:
                publisher.abandon()
            else:
                return publisher
        return None

    def _connect(self) -> Publisher:
        limits = {"read_timeout": self._answer_timeout_s, "write_timeout": self._answer_timeout_s}
        connection = _read(
            self._url,
            connect_timeout=self._connect_timeout_s,
            heartbeat=0,  # nobody would send them for a connection that waits to be used
            ssl=tls(self._url),
            transport_options={**limits, "client_properties": {"connection_name": "hmt_pass"}},
        )
        # One try; `connect` waits two seconds and tries again.
        established: Any = connection.transport.establish_connection()
        return Publisher(connection, established.channel())


def _close(idle: dict[int, list[Publisher]]) -> None:
    for publisher in idle.pop(os.getpid(), []):
        publisher.close()


def _read(url: str, **options: Any) -> kombu.Connection:  # noqa: ANN401  kombu's arguments
    try:
        return kombu.Connection(url, **options)
    except ValueError:  # its text may quote the password
        raise SettingsError("the RabbitMQ URL cannot be read; a password in it must be percent-encoded") from None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise StoreError("RabbitMQ: no answer in time") from None
    except ERRORS as error:
        raise StoreError(f"RabbitMQ: {error}") from None
