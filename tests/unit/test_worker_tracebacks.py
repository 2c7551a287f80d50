"""What a failed job held goes with it: celery's tracer around the task, and no garbage collector."""

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest
from fakes import World, reply, trace_task

from hmt_pass.errors import StoreError, UnansweredError
from hmt_pass.permit import Reply
from hmt_pass.status import State
from worker.tracebacks import let_go


class Held:
    """What a frame of the call has in hand, such as the bytes of a photo."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def failing(kind: type[Exception], held: list[weakref.ref[Held]]) -> Callable[[], Reply]:
    """A call that raises one error out of another, with something in hand."""

    def call() -> Reply:
        in_hand = Held()
        held.append(weakref.ref(in_hand))
        try:
            int("no number")
        except ValueError as error:
            raise kind("the network") from error
        return reply()

    return call


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    ("kind", "state"),
    [(UnansweredError, State.RETRYING), (StoreError, State.QUEUED), (ZeroDivisionError, State.DEAD)],
    ids=["retried", "given back", "dead"],
)
def test_what_a_failed_job_had_in_hand_is_let_go_at_once(world: World, kind: type[Exception], state: State) -> None:
    held: list[weakref.ref[Held]] = []
    world.script(failing(kind, held))
    job = world.job()
    trace_task(job)
    assert state == world.status(job).state
    assert [None] == [one() for one in held]


def another_error() -> None:
    try:
        int("no number")
    except ValueError:
        raise KeyError from None


def test_every_error_that_an_error_came_of_is_let_go_and_what_is_none_is_left_alone() -> None:
    with pytest.raises(KeyError) as caught:
        another_error()
    error, first = caught.value, caught.value.__context__
    assert isinstance(first, ValueError)
    assert first.__traceback__
    let_go(error)
    let_go({"state": "recognized"})
    assert (None, None) == (error.__traceback__, first.__traceback__)
