"""The run of a named redrive: its pace, what it leaves out, and what a kill leaves of it."""

import json
from collections.abc import Callable

import pytest
from clocks import Clock
from commands import die
from fakes import World, reply

from hmt_pass import keys
from hmt_pass.errors import StoreError
from hmt_pass.job import DEAD_LETTER_QUEUE, Job
from hmt_pass.status import State
from worker.redrives import RUN_LEASE_S, Redrives
from worker.redriving import Redriving


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def redrives(world: World) -> Redrives:
    return Redrives(world.services.dead_letters.store)


def redriving(world: World, clock: Clock, progress: Callable[[int], object] = lambda _: None) -> Redriving:
    return Redriving(world.services, "ann", progress, clock=clock, sleep=clock.sleep)


def plan_all(world: World, redrives: Redrives, name: str = "june-outage") -> None:
    redrives.keep(name, [letter for letter, _ in world.services.dead_letters.select()], "ann", {})


def kill_before_the_move(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> int:
        raise StoreError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.services.dead_letters), "redrive", killed)
        with pytest.raises(StoreError, match="killed"):
            redriving(world, Clock()).run("june-outage", 0)


def test_a_run_keeps_to_its_rate(world: World, redrives: Redrives, clock: Clock) -> None:
    for number in range(5):
        die(world, f"job-{number}")
    plan_all(world, redrives)
    moved: list[int] = []
    assert 5 == redriving(world, clock, moved.append).run("june-outage", rate_per_s=4)
    assert ([2, 2, 1], [0.5, 0.5, 0.25]) == (moved, clock.slept)


def test_without_a_rate_a_run_does_not_wait(world: World, redrives: Redrives, clock: Clock) -> None:
    die(world, "one")
    plan_all(world, redrives)
    assert (1, []) == (redriving(world, clock).run("june-outage", rate_per_s=0), clock.slept)


def test_a_redriven_job_runs_anew_and_knows_who_moved_it(world: World, redrives: Redrives, clock: Clock) -> None:
    job = die(world, "one")
    plan_all(world, redrives)
    redriving(world, clock).run("june-outage")
    assert (State.QUEUED, "1") == (world.status(job).state, world.fields(job)["redriven"])
    assert "done" == world.run(job).end
    assert (0, None) == (world.services.dead_letters.count(), world.services.dead_letters.find("one"))


def test_a_run_that_was_killed_between_state_and_message_is_taken_up(
    world: World, redrives: Redrives, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = die(world, "one")
    plan_all(world, redrives)
    kill_before_the_move(world, monkeypatch)
    assert (1, 0, 1) == (
        redrives.find("june-outage").left,
        world.store.llen("hmt_pass"),
        world.services.dead_letters.count(),
    )
    assert 1 == redriving(world, clock).run("june-outage")
    assert (1, 0, "1") == (
        world.store.llen("hmt_pass"),
        world.store.llen(DEAD_LETTER_QUEUE),
        world.fields(job)["redriven"],
    )


def test_what_a_killed_run_left_in_two_is_dead_again_once_it_is_called_off(
    world: World, redrives: Redrives, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [die(world, name) for name in ("one", "two")]
    plan_all(world, redrives)
    kill_before_the_move(world, monkeypatch)
    assert {State.QUEUED} == {world.status(job).state for job in jobs}
    assert 2 == redriving(world, clock).call_off("june-outage")
    assert [(State.DEAD, 0)] * 2 == [(world.status(job).state, world.store.zcard(open_jobs(job))) for job in jobs]
    assert (2, 0) == (world.services.dead_letters.count(), redrives.find("june-outage").left)
    calls = len(world.client.calls)
    assert ("done", calls) == (world.run(jobs[0]).end, len(world.client.calls))  # a message of it that RabbitMQ had
    assert 2 == world.redrive("one", "two")


def test_a_call_off_waits_for_the_run_that_it_stops(world: World, redrives: Redrives, clock: Clock) -> None:
    die(world, "one")
    plan_all(world, redrives)
    token = redrives.begin("june-outage") or ""

    def sleep(_: float) -> None:
        assert ([], 1) == (redrives.next("june-outage", 1), redrives.find("june-outage").left)
        redrives.end(token)

    assert 1 == Redriving(world.services, "ann", clock=clock, sleep=sleep).call_off("june-outage")


def test_a_job_that_died_again_since_the_plan_is_not_redriven_by_whoever_takes_it_up(
    world: World, redrives: Redrives, clock: Clock
) -> None:
    job = die(world, "one")
    die(world, "two")
    plan_all(world, redrives)
    world.redrive("one")
    world.script(reply("1001"))
    world.run(job)
    moved: list[int] = []
    assert 1 == redriving(world, clock, moved.append).run("june-outage")
    after = redrives.find("june-outage")
    assert ([2], 1, 1, 0) == (moved, after.moved, after.skipped, after.left)
    assert (State.DEAD, "1") == (world.status(job).state, world.fields(job)["redriven"])


def test_a_letter_that_comes_after_the_plan_is_not_in_it(world: World, redrives: Redrives, clock: Clock) -> None:
    die(world, "one")
    plan_all(world, redrives)
    late = die(world, "late")
    assert 1 == redriving(world, clock).run("june-outage")
    assert State.DEAD is world.status(late).state


def test_one_redrive_runs_at_a_time_and_the_next_waits_and_says_so(
    world: World, redrives: Redrives, clock: Clock
) -> None:
    die(world, "one")
    plan_all(world, redrives)
    other = redrives.begin("the-other")
    assert other is not None
    assert [None, True] == [redrives.begin("june-outage"), world.store.pttl(keys.REDRIVE_RUNS) <= RUN_LEASE_S * 1000]
    said: list[str] = []

    def sleep(_: float) -> None:
        assert 0 == world.store.llen("hmt_pass")
        redrives.end(other)

    run = Redriving(world.services, "ann", waits=lambda: said.append("waits"), clock=clock, sleep=sleep)
    assert (1, ["waits"], 0) == (run.run("june-outage", 0), said, world.store.exists(keys.REDRIVE_RUNS))


def test_a_run_that_lost_its_turn_ends_nobody_elses(world: World, redrives: Redrives) -> None:
    mine = redrives.begin("one")
    assert mine is not None
    world.store.delete(keys.REDRIVE_RUNS)
    redrives.begin("two")
    redrives.renew(mine)
    redrives.end(mine)
    assert "two" == (world.store.get(keys.REDRIVE_RUNS) or "").split()[0]


def test_a_call_off_stops_a_run_under_way(world: World, redrives: Redrives, clock: Clock) -> None:
    for name in ("one", "two", "three"):
        die(world, name)
    plan_all(world, redrives)
    run = redriving(world, clock, lambda _: redrives.call_off("june-outage"))
    assert (1, 2) == (run.run("june-outage", rate_per_s=2), world.services.dead_letters.count())
    assert redrives.find("june-outage").called_off_at is not None


def test_a_running_redrive_is_listed_as_such_and_a_stale_one_no_more(
    world: World, redrives: Redrives, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(world, "one")
    for name in ("june-outage", "july"):
        plan_all(world, redrives, name)
    redrives.begin("july")
    assert [("june-outage", False), ("july", True)] == [(one.name, one.running) for one in redrives.all()]
    monkeypatch.setattr("worker.redrives.KEPT_FOR_S", 0)
    assert [] == redrives.all()


def test_many_letters_are_kept_and_moved_in_their_order(
    world: World, redrives: Redrives, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("redrives", "redriving", "dead_letter_index"):
        monkeypatch.setattr(f"worker.{module}.CHUNK", 2)
    for number in range(5):
        die(world, f"job-{number}")
    plan_all(world, redrives)
    moved: list[int] = []
    assert 5 == redriving(world, clock, moved.append).run("june-outage", rate_per_s=0)
    assert [2, 2, 1] == moved
    order = [f"job-{number}" for number in range(5)]
    assert order == [id_of(entry) for entry in reversed(world.store.lrange("hmt_pass", 0, -1))]


def open_jobs(job: Job) -> str:
    return keys.open_jobs(job.lane)


def id_of(entry: object) -> str:
    return str(json.loads(str(entry))["headers"]["id"])
