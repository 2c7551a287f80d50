from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from clocks import Clock
from fakes import World, message_of

from hmt_pass import keys
from hmt_pass.errors import StoreError
from worker.hold import Kind
from worker.housekeeping import Housekeeping


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


def budgeted(monkeypatch: pytest.MonkeyPatch, calls: int) -> World:
    world = World.create(monkeypatch, price_per_call=Decimal(1), budget_day=Decimal(calls))
    for number in range(4):
        world.run(world.job(str(number), key=f"{number}.jpg"))
    return world


def test_a_budget_that_is_nearly_spent_is_warned_of(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    world, warnings = budgeted(monkeypatch, 5), []
    monkeypatch.setattr("worker.housekeeping.log.warning", lambda event, **fields: warnings.append((event, fields)))
    for _ in range(2):
        Housekeeping(world.services, clock).make_rounds()
    [(event, fields)] = warnings
    assert ("budget.nearly_spent", "4", "5") == (event, fields["cost"], fields["budget"])


def test_a_hold_for_the_budget_ends_when_there_is_budget_again(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    world = budgeted(monkeypatch, 4)
    job = world.job("one more", key="5.jpg")
    assert ("requeued", 4) == (world.run(job).end, len(world.client.calls))
    info = world.services.hold.info()
    assert info is not None
    assert (Kind.BUDGET, "the budget of the day is spent") == (info.kind, info.reason)
    Housekeeping(world.services, clock).make_rounds()
    assert world.services.hold.is_on()

    world.store.delete(keys.spend(world.services.spend.today().period))  # the next day
    Housekeeping(world.services, clock).make_rounds()
    assert not world.services.hold.is_on()
    assert "done" == world.run(job).end


def test_the_ledger_goes_to_the_archive_where_there_is_one(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr("worker.ledger.ARCHIVE_AFTER", timedelta(0))
    for bucket in (None, "results"):
        world = World.create(monkeypatch, archive_bucket=bucket)
        world.run(world.job())
        Housekeeping(world.services, clock).make_rounds()
        assert bool(bucket) == any("ledger" in key for _, key in world.storage.objects)
