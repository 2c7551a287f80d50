from collections.abc import Callable, Iterator
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import WorkerTerminate
from celery.worker.state import maybe_shutdown
from fakes import World, message_of

from hmt_pass.errors import StoreError
from hmt_pass.job import Job
from worker.claims import MAX_DEATHS
from worker.pool import COLD_SHUTDOWN_S, STUCK_SHUTDOWN_S, ThreadPool

FAILED, RETVAL, RUNTIME = 0, "the return value", 0.1


class FakeRequest:
    """celery's request as far as the pool sees it: what became of its message."""

    def __init__(self, job: Job, on_success: Callable[[], object] = lambda: None) -> None:
        self.id = job.job_id
        self.request_dict = {"task_message": message_of(job).to_json()}
        self.message = SimpleNamespace(delivery_info={"routing_key": job.lane.queue})
        self.ends: list[str] = []
        self._then = on_success

    def on_success(self, _returned: object) -> None:
        self._then()
        self.acknowledge()

    def acknowledge(self) -> None:
        self.ends.append("acknowledged")

    def reject(self, *, requeue: bool) -> None:
        self.ends.append("given back" if requeue else "dropped")


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The requests whose place in the pool was given back."""
    found: list[object] = []
    monkeypatch.setattr("worker.pool.task_ready", found.append)
    return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """After how many seconds the process would end, for each time that it was told to."""
    told: list[float] = []

    def note(after_s: float, *, exit: bool, file: object) -> None:  # noqa: A002  faulthandler's
        assert (True, False) == (exit, file is None)
        told.append(after_s)

    monkeypatch.setattr("worker.pool.faulthandler", SimpleNamespace(dump_traceback_later=note))
    return told


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    pool = ThreadPool(1)
    yield pool
    pool.on_stop()


def run(
    pool: ThreadPool, request: FakeRequest, target: Callable[[], object] = lambda: (FAILED, RETVAL, RUNTIME)
) -> None:
    pool.on_apply(target, (), {}, callback=request.on_success, accept_callback=None).get(timeout=5)


def raising(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def test_a_job_that_ends_is_left_to_celery(pool: ThreadPool, world: World, ready: list[object]) -> None:
    request = FakeRequest(world.job())
    run(pool, request)
    assert (["acknowledged"], []) == (request.ends, ready)


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), ValueError("欧阳试样")])
def test_what_escapes_celery_gives_back_the_message_and_the_thread(
    pool: ThreadPool, world: World, ready: list[object], error: BaseException
) -> None:
    request = FakeRequest(world.job())
    run(pool, request, raising(error))
    assert (["given back"], [request]) == (request.ends, ready)
    run(pool, FakeRequest(world.job()))


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), MemoryError()])
def test_a_callback_that_fails_gives_back_the_message_and_the_thread(
    pool: ThreadPool, world: World, ready: list[object], error: BaseException
) -> None:
    request = FakeRequest(world.job(), on_success=raising(error))
    run(pool, request)
    assert (["given back"], [request]) == (request.ends, ready)


def test_a_message_that_escapes_too_often_is_a_dead_letter(pool: ThreadPool, world: World, ready: list[object]) -> None:
    job = world.job()
    requests = [FakeRequest(job) for _ in range(MAX_DEATHS)]
    for request in requests:
        run(pool, request, raising(MemoryError()))

    letter = world.services.dead_letters.find(job.job_id)
    assert letter is not None
    assert ("poison", "MemoryError") == (letter.reason, letter.detail)
    assert ["given back"] * (MAX_DEATHS - 1) + ["acknowledged"] == [end for one in requests for end in one.ends]
    assert requests == ready


def test_a_message_is_kept_while_nobody_can_count(
    pool: ThreadPool, world: World, ready: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.claims.Claims.stumbles", raising_always(StoreError("Redis: no answer")))
    request = FakeRequest(world.job())
    run(pool, request, raising(MemoryError()))
    assert (["given back"], [request]) == (request.ends, ready)


def raising_always(error: Exception) -> Any:  # noqa: ANN401  any function
    def fail(*_: object) -> object:
        raise error

    return fail


@pytest.mark.parametrize("how", ["SIGQUIT", "a second SIGQUIT"])
def test_a_cold_shutdown_does_not_wait_for_a_call_that_is_under_way(
    pool: ThreadPool, world: World, ends: list[float], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    begun, may_end = Event(), Event()

    def call() -> object:
        begun.set()
        may_end.wait(10)
        return FAILED, RETVAL, RUNTIME

    running = pool.on_apply(call, (), {}, callback=FakeRequest(world.job()).on_success)
    waiting = pool.on_apply(call, (), {}, callback=FakeRequest(world.job()).on_success)
    assert begun.wait(5)
    for job in (running, waiting):
        job.terminate(SimpleNamespace())
    pool.terminate_job(0)
    with monkeypatch.context() as cold:
        cold.setattr("celery.worker.state.should_terminate", True)
        pool.on_stop() if how == "SIGQUIT" else pool.on_terminate()

    assert (False, True) == (running.f.done(), waiting.f.cancelled())
    assert [COLD_SHUTDOWN_S] == ends
    may_end.set()


def test_a_cold_shutdown_waits_for_no_lock_that_the_interrupted_thread_may_hold(
    pool: ThreadPool, ends: list[float]
) -> None:
    with pool.executor._shutdown_lock:  # noqa: SLF001  as in `submit`, when the signal comes
        pool.on_terminate()
    assert [COLD_SHUTDOWN_S] == ends


def test_nothing_begins_once_a_cold_shutdown_was_asked_for(pool: ThreadPool, world: World, ends: list[float]) -> None:
    called: list[str] = []
    pool.on_terminate()
    pool.on_apply(lambda: called.append("called"), (), {}, callback=FakeRequest(world.job()).on_success).wait(5)
    assert ([], [COLD_SHUTDOWN_S]) == (called, ends)


def test_sigquit_asks_for_a_cold_shutdown_and_sees_to_it_that_it_comes(
    pool: ThreadPool, world: World, ends: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers: list[Callable[..., object]] = []
    monkeypatch.setattr("worker.pool.signal.signal", lambda _, handler: handlers.append(handler))
    monkeypatch.setattr("celery.worker.state.should_terminate", None)
    pool.on_start()
    maybe_shutdown()
    handlers[-1](3, None)
    with pytest.raises(WorkerTerminate):
        maybe_shutdown()  # what the loop does between two steps
    called: list[str] = []
    pool.on_apply(lambda: called.append("called"), (), {}, callback=FakeRequest(world.job()).on_success).wait(5)
    assert ([], [STUCK_SHUTDOWN_S]) == (called, ends)


def test_a_warm_shutdown_waits_for_a_call_that_is_under_way(pool: ThreadPool, world: World, ends: list[float]) -> None:
    request = FakeRequest(world.job())
    pool.on_apply(lambda: Event().wait(0.1) or (FAILED, RETVAL, RUNTIME), (), {}, callback=request.on_success)
    pool.on_stop()
    assert (["acknowledged"], []) == (request.ends, ends)


class NoMoreThreadsError(RuntimeError):
    """What `Thread.start` raises."""


def exhausted(pool: ThreadPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the machine gives the pool no more threads."""
    monkeypatch.setattr("threading.Thread.start", raising_always(NoMoreThreadsError("can't start new thread")))
    pool.executor._max_workers += 1  # noqa: SLF001  so that it tries


def test_a_job_for_which_there_is_no_thread_is_refused_and_never_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, called, may_end = ThreadPool(1), [], Event()
    pool.on_apply(lambda: may_end.wait(5) or (FAILED, RETVAL, RUNTIME), (), {}, callback=None)
    with monkeypatch.context() as poor:
        exhausted(pool, poor)
        with pytest.raises(NoMoreThreadsError):
            pool.on_apply(lambda: called.append("refused"), (), {}, callback=FakeRequest(world.job()).on_success)
    may_end.set()

    later = FakeRequest(world.job())
    run(pool, later, lambda: called.append("taken") or (FAILED, RETVAL, RUNTIME))
    pool.on_stop()
    assert (["taken"], ["acknowledged"]) == (called, later.ends)
