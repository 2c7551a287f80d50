from collections.abc import Callable

import pytest
from fakes import World, message_of

from hmt_pass import keys
from hmt_pass.errors import StoreError
from worker.housekeeping import Housekeeping


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(world: World, clock: Clock) -> Housekeeping:
    return Housekeeping(world.services, clock)


def leave_a_booking_behind(world: World) -> None:
    """Of a worker that died in a fleet whose others have long been at work."""
    world.services.booked.renew()
    world.store.hset(keys.BOOKED_STEADY, "since", 1.0)
    world.store.hset(keys.BOOKED, "tag", "hmt_pass\nan entry")
    world.store.zadd(keys.BOOKED_BY_TIME, {"tag": 1.0})


def test_delayed_jobs_whose_time_has_come_go_back_to_their_queues(world: World, house: Housekeeping) -> None:
    job = world.job()
    world.services.delayed.put(job.job_id, message_of(job), 0.0)
    house.make_rounds()
    assert 1 == world.store.llen("hmt_pass")


def test_the_messages_of_a_dead_worker_are_restored(world: World, house: Housekeeping) -> None:
    leave_a_booking_behind(world)
    house.make_rounds()
    assert ["an entry"] == world.store.lrange("hmt_pass", 0, -1)


def test_the_first_search_for_lost_jobs_waits_until_what_lapsed_is_restored(
    world: World, house: Housekeeping, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[str] = []
    monkeypatch.setattr(type(world.services.registry), "reconcile", lambda _, worker, _every: searches.append(worker))
    house.make_rounds()
    assert [] == searches
    clock.now_s += 60
    house.make_rounds()
    house.make_rounds()
    assert ["a-host:1"] == searches


@pytest.mark.parametrize("error", [StoreError("Redis: no answer"), ZeroDivisionError()])
def test_a_duty_that_fails_is_tried_again_and_the_others_go_on(
    world: World, house: Housekeeping, clock: Clock, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    leave_a_booking_behind(world)
    job = world.job()
    world.services.delayed.put(job.job_id, message_of(job), 0.0)
    with monkeypatch.context() as failing:
        failing.setattr(type(world.services.delayed), "move_due", _raising(error))
        house.make_rounds()
    assert ["an entry"] == world.store.lrange("hmt_pass", 0, -1)
    clock.now_s += 0.5
    house.make_rounds()
    assert 2 == world.store.llen("hmt_pass")


def _raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail
