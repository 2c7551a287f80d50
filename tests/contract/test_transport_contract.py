"""What worker.transport promises, on a real Redis and through kombu's own consumer."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty
from types import SimpleNamespace
from typing import Any

import kombu
import pytest
import redis
from fakes import fake_services, message_of

from hmt_pass import keys
from hmt_pass.errors import SettingsError
from hmt_pass.job import Job
from hmt_pass.store import Store, connect
from local.redis import RedisServer
from local.stage import until
from worker.dead_letters import DeadLetters
from worker.puts import Put
from worker.services import Services
from worker.transport import Transport

QUEUES = [kombu.Queue("hmt_pass", routing_key="hmt_pass"), kombu.Queue("hmt_pass.bulk", routing_key="hmt_pass.bulk")]
OPTIONS = {"socket_timeout": 5, "priority_steps": [0]}


@dataclass
class Worker:
    """A consumer of the work queues; `take()` is one turn of its loop."""

    connection: kombu.Connection
    services: Services
    taken: list[Any] = field(default_factory=list)

    def take(self, count: int = 1, within_s: float = 5.0) -> list[str]:
        """The ids of the next `count` messages."""
        before = len(self.taken)
        until(lambda: self._turn() and len(self.taken) >= before + count, within_s)
        return [message.headers["id"] for message in self.taken[before:]]

    def _turn(self) -> bool:
        with suppress(TimeoutError):
            self.connection.drain_events(timeout=0.05)
        return True


@pytest.fixture
def store(redis: RedisServer) -> Iterator[Store]:
    with connect(redis.url) as store:
        yield store


@pytest.fixture
def services(store: Store, monkeypatch: pytest.MonkeyPatch) -> Services:
    services = fake_services(store, SimpleNamespace(), SimpleNamespace())  # type: ignore[arg-type]  # never used here
    for module in ("transport", "unreadable"):
        monkeypatch.setattr(f"worker.{module}.services", lambda: services)
    return services


@pytest.fixture
def worker(redis: RedisServer, services: Services) -> Iterator[Worker]:
    with kombu.Connection(redis.url, transport=Transport, transport_options=OPTIONS) as connection:
        yield consuming(Worker(connection, services))


def consuming(worker: Worker, prefetch_count: int = 2) -> Worker:
    consumer = kombu.Consumer(worker.connection.channel(), QUEUES, on_message=worker.taken.append)
    consumer.qos(prefetch_count=prefetch_count)
    consumer.consume()
    return worker


def enqueue(services: Services, *names: str, lane: str = "interactive") -> None:
    for name in names:
        services.queues.publish(message_of(Job.create(f"s3://photos/{name}.jpg", job_id=name, lane=lane)))


def letters(store: Store) -> list[tuple[str, str]]:
    return [(letter.reason, letter.detail) for letter in DeadLetters(store).list()]


def test_messages_come_in_order_and_are_booked_until_they_are_acknowledged(worker: Worker, store: Store) -> None:
    enqueue(worker.services, "one", "two", "three")

    assert ["one", "two"] == worker.take(2)
    assert (2, {"one", "two"}) == (store.hlen(keys.BOOKED), worker.services.queues.in_hand())

    worker.taken[0].ack()
    assert ["three"] == worker.take()
    for message in worker.taken[1:]:
        message.ack()
    assert 0 == store.exists(keys.BOOKED, keys.BOOKED_BY_TIME, "hmt_pass")


def test_no_more_is_taken_than_the_prefetch_limit(worker: Worker, store: Store) -> None:
    enqueue(worker.services, "one", "two", "three")
    assert ["one", "two"] == worker.take(3, within_s=1.0)
    assert 1 == store.llen("hmt_pass")


@pytest.mark.parametrize("lane", ["interactive", "bulk"])
def test_a_message_that_comes_while_the_worker_waits_is_taken(worker: Worker, lane: str) -> None:
    assert [] == worker.take(within_s=0.6)
    enqueue(worker.services, "one", lane=lane)
    assert ["one"] == worker.take()


def test_a_rejected_message_is_the_next_to_be_taken(worker: Worker) -> None:
    enqueue(worker.services, "one", "two", "three")
    worker.take(2)
    worker.taken[0].requeue()
    assert ["one"] == worker.take()


def test_a_lost_connection_gives_nothing_back_that_is_still_worked_on(worker: Worker, store: Store) -> None:
    enqueue(worker.services, "one", "two")
    worker.take(2)
    [one, two] = worker.taken

    worker.connection.collect()
    another = consuming(Worker(worker.connection, worker.services))

    assert [] == another.take(within_s=1.0)
    one.ack()
    two.ack()
    assert 0 == store.exists(keys.BOOKED, "hmt_pass")


def test_a_booking_whose_answer_was_lost_is_given_back(
    worker: Worker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.take(within_s=0.3)
    [channel] = [channel for channel in worker.connection.transport.channels if channel.active_queues]
    with suppress(Empty):
        channel._brpop_read()
    enqueue(worker.services, "one")
    channel._look_first = True
    channel._brpop_start()
    assert until(lambda: store.hlen(keys.BOOKED) == 1, 5.0)

    monkeypatch.setattr(channel.client, "parse_response", _reset)
    with pytest.raises(redis.ConnectionError):
        channel._brpop_read()

    assert (0, 1) == (store.hlen(keys.BOOKED), store.llen("hmt_pass"))


def _reset(*_: object, **__: object) -> object:
    raise redis.ConnectionError("connection reset by peer")


NO_MESSAGE = {
    "text": b"garbage not json",
    "not utf-8": b"\xff\xfe\x00",
    "a list": b"[1,2,3]",
    "a number": b"5",
    "no properties": b'{"body":"x","headers":{}}',
    "bad base64": b'{"body":"!!!notb64","headers":{"id":"x"},"properties":{"body_encoding":"base64"}}',
    "nested without end": b"[" * 100_000,
}


@pytest.mark.parametrize("entry", NO_MESSAGE.values(), ids=NO_MESSAGE)
def test_an_entry_that_is_no_message_is_a_dead_letter_with_its_bytes_and_stops_nothing(
    worker: Worker, store: Store, entry: bytes
) -> None:
    store.lpush("hmt_pass", entry)
    enqueue(worker.services, "behind-it")

    assert ["behind-it"] == worker.take()

    [(reason, detail)] = letters(store)
    assert ("unreadable message", True) == (reason, detail.endswith(f"in an entry of {len(entry)} bytes"))
    [kept] = [Put.from_entry(text).message for text in store.hvals(keys.DEAD_LETTERS)]
    assert entry == kept.body
    assert {"behind-it"} == worker.services.queues.in_hand()


def test_an_entry_that_cannot_be_buried_now_is_not_let_go(
    worker: Worker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.unreadable.bury", lambda *_: False)
    store.lpush("hmt_pass", "garbage")
    worker.take(within_s=0.5)
    assert 1 == store.llen("hmt_pass") + store.hlen(keys.BOOKED)


def test_replies_that_need_no_acknowledgement_leave_no_booking(redis: RedisServer, store: Store) -> None:
    heard: list[object] = []
    with kombu.Connection(redis.url, transport=Transport, transport_options=OPTIONS) as connection:
        queue = kombu.Queue("reply", routing_key="reply")
        with kombu.Consumer(connection.channel(), [queue], no_ack=True, callbacks=[lambda body, _: heard.append(body)]):
            connection.Producer().publish({"pong": 1}, routing_key="reply", declare=[queue])
            connection.drain_events(timeout=5)
    assert ([{"pong": 1}], 0) == (heard, store.exists(keys.BOOKED))


def test_a_cluster_is_refused_with_a_way_out(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = worker.connection.channel()
    monkeypatch.setattr(type(channel.client), "info", lambda *_: {"cluster_enabled": 1})
    with pytest.raises(SettingsError, match="use a single Redis or Valkey"):
        worker.connection.channel()


def test_the_script_is_loaded_again_when_redis_has_forgotten_it(worker: Worker, store: Store) -> None:
    worker.take(within_s=0.3)
    store.script_flush()
    enqueue(worker.services, "one")
    assert ["one"] == worker.take()
