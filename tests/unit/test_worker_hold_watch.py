from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes import World

from worker.hold_watch import POLL_S, HoldWatch

QUEUES = ["hmt_pass", "hmt_pass.bulk"]


class FakeTimer:
    def __init__(self) -> None:
        self.ticks: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []
        self.cancelled = 0

    def call_repeatedly(self, every_s: float, function: Callable[..., None], args: tuple[object, ...]) -> Any:  # noqa: ANN401  an entry
        self.ticks.append((every_s, function, args))
        return SimpleNamespace(cancel=self._cancel)

    def _cancel(self) -> None:
        self.cancelled += 1

    def fire(self) -> None:
        _, function, args = self.ticks[-1]
        function(*args)


class FakeQueues(dict[str, str]):
    """celery's queues: all that are known, and those that are consumed from."""

    def __init__(self) -> None:
        super().__init__({name: name for name in QUEUES})
        self.consume_from = dict(self)

    def select_add(self, queue: str) -> None:
        self.consume_from[queue] = queue


class FakeConsumer:
    """celery's consumer as far as HoldWatch sees it: a cancelled queue is deselected for good, as in celery.

    `consumed` is what is read right now; a reconnection reads whatever is selected.
    """

    def __init__(self) -> None:
        self.consumed = list(QUEUES)
        self.timer = FakeTimer()
        self.queues = FakeQueues()
        self.app = SimpleNamespace(amqp=SimpleNamespace(queues=self.queues))

    def cancel_task_queue(self, queue: str) -> None:
        self.consumed.remove(queue)
        del self.queues.consume_from[queue]

    def add_task_queue(self, queue: str) -> None:
        self.consumed.append(queue)
        self.queues.select_add(queue)

    def reconnect(self) -> None:
        self.consumed = list(self.queues.consume_from)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World.create(monkeypatch)
    monkeypatch.setattr("worker.hold_watch.services", lambda: world.services)
    return world


def start(consumer: FakeConsumer) -> HoldWatch:
    step = HoldWatch(cast("Any", consumer))
    step.start(cast("Any", consumer))
    return step


@pytest.mark.usefixtures("world")
def test_a_worker_polls_from_its_start_on() -> None:
    consumer = FakeConsumer()
    start(consumer)
    assert (QUEUES, POLL_S) == (consumer.consumed, consumer.timer.ticks[0][0])


def test_a_worker_that_starts_during_a_hold_consumes_nothing(world: World) -> None:
    world.services.hold.open("no money", by="a test")
    consumer = FakeConsumer()
    start(consumer)
    assert [] == consumer.consumed


def test_a_hold_stops_the_consuming_and_its_release_starts_it_again(world: World) -> None:
    consumer = FakeConsumer()
    start(consumer)
    world.services.hold.open("no money", by="a test")
    for _ in range(2):
        consumer.timer.fire()
    assert [] == consumer.consumed
    world.services.hold.release()
    for _ in range(2):
        consumer.timer.fire()
    assert QUEUES == consumer.consumed


def test_a_redis_that_is_silent_leaves_everything_as_it_is(world: World) -> None:
    consumer = FakeConsumer()
    start(consumer)
    world.services.hold.open("no money", by="a test")
    consumer.timer.fire()
    world.server.connected = False
    consumer.timer.fire()
    assert [] == consumer.consumed


def test_a_worker_that_stops_polls_no_more_and_takes_nothing_on_its_way_out(world: World) -> None:
    consumer = FakeConsumer()
    step = start(consumer)
    world.services.hold.open("no money", by="a test")
    consumer.timer.fire()
    step.stop(cast("Any", consumer))
    step.stop(cast("Any", consumer))
    assert (1, [], QUEUES) == (consumer.timer.cancelled, consumer.consumed, list(consumer.queues.consume_from))


def test_a_reconnection_during_a_hold_pauses_again(world: World) -> None:
    consumer = FakeConsumer()
    step = start(consumer)
    world.services.hold.open("no money", by="a test")
    consumer.timer.fire()
    step.stop(cast("Any", consumer))
    consumer.reconnect()
    assert QUEUES == consumer.consumed
    step.start(cast("Any", consumer))
    assert [] == consumer.consumed
    world.services.hold.release()
    consumer.timer.fire()
    assert QUEUES == consumer.consumed
