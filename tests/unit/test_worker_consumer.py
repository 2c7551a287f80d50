from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery.exceptions import InvalidTaskError
from fakes import World, message_of
from kombu.exceptions import ContentDisallowed, DecodeError, OperationalError
from kombu.transport.redis import Transport

from tasks.recognize import recognize
from worker import pulse
from worker.celery import app
from worker.consumer import Consumer
from worker.envelope import TaskMessage


class FakeMessage:
    """kombu's message, and what became of it."""

    def __init__(self, message: TaskMessage, payload: object = None) -> None:
        self.headers = message.headers
        self.body, self.content_type, self.content_encoding = message.body, message.content_type, "utf-8"
        self.delivery_info = {"routing_key": message.queue}
        self.ends: list[str] = []
        self._payload = payload

    def decode(self) -> object:
        if isinstance(self._payload, Exception):
            raise self._payload
        return self._payload

    def ack_log_error(self, *_: object) -> None:
        self.ends.append("acknowledged")

    def reject_log_error(self, *_: object, requeue: bool = False) -> None:
        self.ends.append("given back" if requeue else "dropped")


class AConsumer(Consumer):
    """Ours without a connection; `strategy` stands for celery's way from a message to the pool."""

    def __init__(self, strategy: Callable[..., object]) -> None:
        self.app = app
        self.strategies = {recognize.name: self.noting(strategy)}
        self.connection_errors = Transport.connection_errors
        self.on_task_message: set[object] = set()
        self._maximum_prefetch_restored = True

    def update_strategies(self) -> None:
        self.strategies = {name: SimpleNamespace() for name in self.app.tasks}
        for task in self.app.tasks.values():
            task.start_strategy = lambda *_: SimpleNamespace()
        super().update_strategies()


def raising(error: BaseException) -> Callable[..., object]:
    def fail(*_: object) -> object:
        raise error

    return fail


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("worker.consumer.GIVE_BACK_PAUSE_S", 0)
    return World.create(monkeypatch)


def handle(message: FakeMessage, strategy: Callable[..., object]) -> None:
    message.ack_log_error_promise = None  # type: ignore[attr-defined]  # celery sets attributes as it likes
    AConsumer(strategy).create_task_handler()(message)  # type: ignore[arg-type]


def letters(world: World) -> list[tuple[str, str, str]]:
    return [(letter.job_id, letter.reason, letter.detail) for letter in world.services.dead_letters.list()]


def test_a_message_for_a_task_goes_to_the_pool(world: World) -> None:
    taken: list[object] = []
    message = FakeMessage(message_of(world.job()))
    handle(message, lambda found, *_: taken.append(found))
    assert ([message], [], []) == (taken, message.ends, letters(world))


@pytest.mark.parametrize(
    "error",
    [
        KeyError("id"),
        TypeError(),
        ValueError("欧阳试样"),
        MemoryError(),
        RecursionError(),
        InvalidTaskError("x"),
        DecodeError("x"),
        ContentDisallowed("x"),
    ],
)
def test_a_message_that_celery_cannot_take_is_a_dead_letter_that_names_no_content(
    world: World, error: Exception
) -> None:
    message = FakeMessage(message_of(world.job(job_id="mine")))
    handle(message, raising(error))
    assert [("mine", "unreadable message", type(error).__name__)] == letters(world)
    assert ["acknowledged"] == message.ends


class FakeRequest:
    """What celery has made of a message."""

    def __init__(self, message: FakeMessage) -> None:
        self.id = "mine"
        self._message = message

    def reject(self, *, requeue: bool) -> None:
        self._message.reject_log_error(requeue=requeue)


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The requests whose place in the worker was given back."""
    found: list[object] = []
    monkeypatch.setattr("worker.consumer.task_ready", found.append)
    return found


def a_strategy(request: FakeRequest, error: BaseException | None) -> Callable[..., object]:
    """celery's, with a pool that takes the job, or raises the error."""

    def take(*arguments: object) -> None:
        [callback(request) for callback in cast("list[Any]", arguments[-1])]
        if error:
            raise error

    return take


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), AttributeError("grow"), MemoryError(), KeyError("a")]
)
def test_a_job_that_the_pool_cannot_take_goes_back_and_is_counted(
    world: World, ready: list[object], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("worker.pulse._refusals", 0)
    message = FakeMessage(message_of(world.job(job_id="mine")))
    request = FakeRequest(message)

    for _ in range(2):
        handle(message, a_strategy(request, error))
    assert (["given back"] * 2, [request] * 2, []) == (message.ends, ready, letters(world))
    assert 2 == pulse.refusals()

    handle(message, a_strategy(request, None))
    assert (0, 2) == (pulse.refusals(), len(ready))


@pytest.mark.parametrize("error", [ConnectionResetError(), OperationalError(), TimeoutError()])
def test_a_broken_connection_is_not_the_messages_fault(world: World, error: Exception) -> None:
    message = FakeMessage(message_of(world.job()))
    with pytest.raises(type(error)):
        handle(message, raising(error))
    assert ([], []) == (message.ends, letters(world))


def test_a_message_for_a_task_that_is_not_there_is_a_dead_letter_under_its_own_id(world: World) -> None:
    message = FakeMessage(message_of(world.job(job_id="mine"), task="hmt_pass.of_tomorrow"))
    handle(message, raising(AssertionError()))
    assert [("mine", "unknown task", "hmt_pass.of_tomorrow")] == letters(world)
    assert ["acknowledged"] == message.ends


@pytest.mark.parametrize("payload", [None, 5, [], {"a": 1}, DecodeError("x")])
def test_a_message_without_a_task_is_a_dead_letter(world: World, payload: object) -> None:
    message = FakeMessage(TaskMessage({}, b"anything", "application/json", "utf-8", "hmt_pass"), payload)
    handle(message, raising(AssertionError()))
    [(job_id, reason, _)] = letters(world)
    assert ("invalid-", "unreadable message", ["acknowledged"]) == (job_id[:8], reason, message.ends)


def test_a_message_that_cannot_be_buried_now_goes_back(world: World) -> None:
    message = FakeMessage(message_of(world.job(), task="hmt_pass.of_tomorrow"))
    world.server.connected = False
    handle(message, raising(AssertionError()))
    assert ["given back"] == message.ends


def test_celerys_own_tasks_are_nobodys_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for task in app.tasks.values():
        monkeypatch.setattr(task, "start_strategy", lambda *_: SimpleNamespace())
    consumer = AConsumer(raising(AssertionError()))
    consumer.hostname = "a@host"
    consumer.update_strategies()
    assert {recognize.name} == set(consumer.strategies)
