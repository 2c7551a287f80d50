from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from watched import Time

from worker.consuming import TICK_S, ConsumingWatch, Loop


class FakeConsumer:
    """celery's consumer as far as ConsumingWatch sees it."""

    def __init__(self, *queues: str) -> None:
        self.queues = set(queues)
        self.ticks: list[Callable[[], None]] = []
        self.task_consumer = SimpleNamespace(consuming_from=lambda queue: queue in self.queues)
        self.timer = SimpleNamespace(call_repeatedly=self._call_repeatedly)

    def _call_repeatedly(self, every_s: float, function: Callable[..., None], args: tuple[object, ...]) -> Any:  # noqa: ANN401  an entry
        assert TICK_S == every_s
        self.ticks.append(lambda: function(*args))
        return SimpleNamespace(cancel=self.ticks.clear)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time.of(monkeypatch, "consuming")


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch, time: Time) -> Loop:
    del time
    loop = Loop()
    monkeypatch.setattr("worker.consuming.loop", loop)
    return loop


def start(*queues: str) -> tuple[ConsumingWatch, FakeConsumer]:
    consumer = FakeConsumer(*queues)
    step = ConsumingWatch(cast("Any", consumer))
    step.start(cast("Any", consumer))
    return step, consumer


def test_before_its_first_connection_a_worker_consumes_nothing(loop: Loop) -> None:
    assert (False, False) == (loop.connected, loop.consumes)


@pytest.mark.parametrize("queues", [("hmt_pass", "hmt_pass.bulk"), ("hmt_pass",), ("hmt_pass.bulk",)])
def test_a_worker_consumes_from_its_start_on_whichever_lanes_it_has(loop: Loop, queues: tuple[str, ...]) -> None:
    start(*queues)
    assert (True, True) == (loop.connected, loop.consumes)


def test_a_worker_whose_queues_were_cancelled_consumes_no_more(loop: Loop) -> None:
    _, consumer = start("hmt_pass")
    consumer.queues.clear()
    consumer.ticks[-1]()
    assert (True, False) == (loop.connected, loop.consumes)


def test_the_loop_is_as_old_as_its_last_round(loop: Loop, time: Time) -> None:
    _, consumer = start("hmt_pass")
    time.now_s += 7
    assert 7 == loop.age_s()
    consumer.ticks[-1]()
    assert 0 == loop.age_s()


def test_a_lost_connection_is_noted_and_a_new_one_too(loop: Loop) -> None:
    step, consumer = start("hmt_pass")
    step.stop(cast("Any", consumer))
    assert (False, False, []) == (loop.connected, loop.consumes, consumer.ticks)
    step.stop(cast("Any", consumer))
    step.start(cast("Any", consumer))
    assert (True, True, 1) == (loop.connected, loop.consumes, len(consumer.ticks))
