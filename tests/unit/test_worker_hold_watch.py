from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes import PROCESS, World, message_of

from hmt_pass import keys
from worker.hold import Kind
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


class FakeQos:
    """How many messages the broker hands out at once."""

    def __init__(self) -> None:
        self.value = self.told = 32

    def update(self) -> None:
        self.told = self.value


class FakeConsumer:
    """celery's consumer as far as HoldWatch sees it: a cancelled queue is deselected for good, as in celery.

    `consumed` is what is read right now; a reconnection reads whatever is selected.
    """

    def __init__(self) -> None:
        self.consumed = list(QUEUES)
        self.qos = FakeQos()
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
    world.services.hold.release(by="a test")
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
    world.services.hold.release(by="a test")
    consumer.timer.fire()
    assert QUEUES == consumer.consumed


def run_dry(world: World) -> None:
    """The account has no money left, and a canary is due."""
    world.services.hold.open("no money", by="a test", kind=Kind.CODE, code="9980", heals=True)
    world.store.hset(keys.HOLD, "canary_at", 1.0)


def enqueue(world: World, lane: str = "interactive") -> None:
    job = world.job(key=f"{lane}.jpg", lane=lane)
    world.services.queues.publish(message_of(job))


def test_a_worker_takes_one_message_at_a_time_when_a_canary_is_due(world: World) -> None:
    consumer = FakeConsumer()
    start(consumer)
    enqueue(world, "bulk")
    run_dry(world)
    consumer.timer.fire()
    assert (["hmt_pass.bulk"], 1) == (consumer.consumed, consumer.qos.told)


def test_the_canary_is_an_interactive_job_if_there_is_one(world: World) -> None:
    consumer = FakeConsumer()
    for lane in ("bulk", "interactive"):
        enqueue(world, lane)
    run_dry(world)
    start(consumer)
    assert ["hmt_pass"] == consumer.consumed


def test_nobody_is_the_canary_while_nothing_waits(world: World) -> None:
    consumer = FakeConsumer()
    run_dry(world)
    start(consumer)
    assert ([], None) == (consumer.consumed, world.store.hget(keys.HOLD, "canary"))


def test_a_canary_that_came_back_in_vain_leaves_the_worker_as_it_was(world: World) -> None:
    consumer = FakeConsumer()
    enqueue(world)
    run_dry(world)
    start(consumer)
    world.store.hdel(keys.HOLD, "canary")
    world.store.hset(keys.HOLD, "canary_at", world.store.time()[0] + 50)
    consumer.timer.fire()
    assert ([], 32) == (consumer.consumed, consumer.qos.told)


def test_a_canary_that_healed_the_hold_lets_everything_in_again(world: World) -> None:
    consumer = FakeConsumer()
    enqueue(world)
    run_dry(world)
    start(consumer)
    world.services.hold.release(by="canary")
    consumer.timer.fire()
    assert (sorted(QUEUES), 32) == (sorted(consumer.consumed), consumer.qos.told)


def test_a_canary_whose_time_is_over_goes_on_if_nobody_else_does(world: World) -> None:
    consumer = FakeConsumer()
    enqueue(world)
    run_dry(world)
    start(consumer)
    world.store.hset(keys.HOLD, "canary_until", 1.0)
    consumer.timer.fire()
    assert (["hmt_pass"], PROCESS) == (consumer.consumed, world.store.hget(keys.HOLD, "canary"))
    assert float(world.store.hget(keys.HOLD, "canary_until") or 0) > 1e9


def test_a_canary_gives_way_to_one_that_took_over(world: World) -> None:
    consumer = FakeConsumer()
    enqueue(world)
    run_dry(world)
    start(consumer)
    world.store.hset(keys.HOLD, mapping={"canary": "another worker", "canary_until": 4e9})
    consumer.timer.fire()
    assert [] == consumer.consumed
