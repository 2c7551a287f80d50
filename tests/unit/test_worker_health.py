from types import SimpleNamespace

import pytest
from fakes import World, message_of
from watched import Time, figures, running_loop

from hmt_pass import __version__
from hmt_pass.job import Lane
from worker import beats, pulse
from worker.consuming import Loop
from worker.health import DEAF_S, IDLE_S, LOOK_LATE_S, STANDSTILL_S, Health
from worker.heartbeat import Heartbeat
from worker.metrics import process
from worker.metrics.process import Process

CONCURRENCY = 4


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    for name in ("_beaten_at", "_missed"):
        monkeypatch.setattr(f"worker.beats.{name}", [0, 0])
    return Time.of(monkeypatch, "health", "consuming", "heartbeat", "pulse", "beats")


@pytest.fixture
def celery(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """celery's state of the worker."""
    state = SimpleNamespace(should_stop=None, should_terminate=None, reserved_requests=[])
    monkeypatch.setattr("worker.health._state", state)
    return state


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, time: Time, celery: SimpleNamespace) -> World:
    del time, celery
    return World.create(monkeypatch, concurrency=CONCURRENCY)


@pytest.fixture
def heartbeat(world: World) -> Heartbeat:
    return Heartbeat(world.services, list(Lane))


@pytest.fixture
def loop(time: Time) -> Loop:
    del time
    return running_loop()


@pytest.fixture
def health(world: World, heartbeat: Heartbeat, loop: Loop) -> Health:
    health = Health(world.services, heartbeat, loop)
    health.look()
    return health


def only_problem(health: Health) -> str:
    [problem] = health.problems()
    return problem


def test_a_worker_that_consumes_is_healthy(health: Health, celery: SimpleNamespace) -> None:
    celery.reserved_requests.append("a request")
    assert (
        True,
        {
            "state": "consuming",
            "problems": [],
            "worker": "a-host:1",
            "version": __version__,
            "jobs_in_hand": 1,
            "capacity": CONCURRENCY,
        },
    ) == health.report()


def test_a_worker_that_is_held_on_purpose_is_healthy_for_as_long_as_it_takes(
    world: World, health: Health, loop: Loop, time: Time
) -> None:
    world.services.hold.open("no money", by="a test")
    for _ in range(10):
        time.now_s += IDLE_S
        loop.goes_round(connected=True, consumes=False)
        health.look()
    assert (True, "held") == (health.report()[0], health.report()[1]["state"])


def test_a_worker_without_work_is_healthy(health: Health, heartbeat: Heartbeat, loop: Loop, time: Time) -> None:
    for _ in range(10):
        time.now_s += 10
        loop.goes_round(connected=True, consumes=True)
        health.look()
        heartbeat.beat()
    assert [] == health.problems()


def test_a_worker_that_takes_nothing_although_there_is_no_hold_is_not(health: Health, loop: Loop, time: Time) -> None:
    loop.goes_round(connected=True, consumes=False)
    time.now_s += IDLE_S
    health.look()
    assert [] == health.problems()
    time.now_s += 1
    health.look()
    assert "it has not consumed for 11 s, although there is no hold" == only_problem(health)


@pytest.mark.parametrize("name", ["should_stop", "should_terminate"])
def test_a_worker_that_shuts_down_is_not(health: Health, celery: SimpleNamespace, name: str) -> None:
    setattr(celery, name, 0)  # the exit code of a warm shutdown
    assert "it is shutting down" == only_problem(health)
    assert (False, "not consuming") == (health.report()[0], health.report()[1]["state"])


def test_a_worker_that_lost_its_stores_names_both_and_recovers(world: World, health: Health) -> None:
    world.server.connected = False
    health.look()
    redis, broker = health.problems()
    assert redis.startswith("Redis does not answer (Redis: ")
    assert broker.startswith("the broker does not answer (Redis: ")
    world.server.connected = True
    health.look()
    assert [] == health.problems()


def test_a_hold_is_remembered_while_redis_is_silent(world: World, health: Health, loop: Loop, time: Time) -> None:
    world.services.hold.open("no money", by="a test")
    loop.goes_round(connected=True, consumes=False)
    health.look()
    world.server.connected = False
    time.now_s += IDLE_S + 1
    assert [] == health.problems()
    health.look()
    assert ["Redis does not", "the broker doe"] == [problem[:14] for problem in health.problems()]


def test_a_worker_without_a_connection_is_not_healthy(health: Health, loop: Loop) -> None:
    loop.goes_round(connected=False, consumes=False)
    assert "it is not connected to the broker" == only_problem(health)


def test_a_loop_that_stands_still_is_noticed(health: Health, time: Time) -> None:
    time.now_s += STANDSTILL_S
    assert [] == health.problems()
    time.now_s += 1
    assert "the loop that takes messages has stood still for 21 s" == only_problem(health)


def test_a_late_heartbeat_is_noticed_before_leases_lapse(
    health: Health, heartbeat: Heartbeat, loop: Loop, time: Time
) -> None:
    heartbeat.beat()
    for _ in range(3):
        time.now_s += 10.5
        loop.goes_round(connected=True, consumes=True)
        health.look()
    assert "the last heartbeat was 32 s ago" == only_problem(health)
    heartbeat.beat()
    assert [] == health.problems()


def test_a_look_that_hangs_is_noticed(health: Health, loop: Loop, time: Time) -> None:
    time.now_s += LOOK_LATE_S + 1
    loop.goes_round(connected=True, consumes=True)
    assert "the last look at Redis and the broker was 31 s ago" == only_problem(health)


def left_waiting(world: World, health: Health, heartbeat: Heartbeat, loop: Loop, time: Time) -> None:
    """Messages wait, and for DEAF_S and a little none is taken."""
    world.services.queues.publish(message_of(world.job()))
    heartbeat.beat()
    time.now_s += DEAF_S + 1
    loop.goes_round(connected=True, consumes=True)
    heartbeat.beat()
    health.look()


def test_a_deaf_worker_is_not_healthy(
    world: World, health: Health, heartbeat: Heartbeat, loop: Loop, time: Time
) -> None:
    left_waiting(world, health, heartbeat, loop, time)
    assert "it is deaf: messages have waited for 31 s, it has room and takes none" == only_problem(health)
    pulse.felt()
    assert [] == health.problems()


def test_a_worker_without_room_is_not_deaf(
    world: World, health: Health, heartbeat: Heartbeat, loop: Loop, time: Time, celery: SimpleNamespace
) -> None:
    celery.reserved_requests += ["a request"] * CONCURRENCY
    left_waiting(world, health, heartbeat, loop, time)
    assert [] == health.problems()


def test_a_worker_says_of_itself_what_only_it_knows(
    health: Health, heartbeat: Heartbeat, loop: Loop, time: Time, celery: SimpleNamespace
) -> None:
    celery.reserved_requests += ["a request"] * 3
    heartbeat.beat()
    beats.beat(missed=2)
    pulse.felt()
    time.now_s += 5
    assert {
        "hmt_pass_worker_consuming": 1,
        "hmt_pass_worker_healthy": 1,
        "hmt_pass_worker_jobs_in_hand": 3,
        "hmt_pass_worker_capacity_jobs": CONCURRENCY,
        "hmt_pass_worker_last_message_age_seconds": 5,
        "hmt_pass_worker_heartbeat_age_seconds": 5,
        "hmt_pass_worker_renewals_missed_total": 2,
        f"hmt_pass_worker_info|a-host:1|{__version__}": 1,
    } == figures(Process("a-host:1", health, loop))


def test_renewals_that_redis_did_not_take_are_counted(world: World, heartbeat: Heartbeat) -> None:
    world.services.claims.claim(world.job())
    world.server.connected = False
    heartbeat.beat()
    assert 2 == beats.missed()  # the claim's and the bookings'


def test_a_worker_that_is_told_no_port_is_served_nowhere(
    world: World, heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.metrics.server.start", lambda *_: pytest.fail("served"))
    process.serve(world.services, heartbeat)


def test_a_worker_that_cannot_be_served_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch, heartbeat: Heartbeat
) -> None:
    logged: dict[str, object] = {}

    def refuse(*_: object) -> int:
        raise OSError(98, "every port is taken")

    monkeypatch.setattr("worker.metrics.server.start", refuse)
    monkeypatch.setattr(Health, "start", lambda _: None)
    monkeypatch.setattr("worker.metrics.process.log.error", lambda event, **fields: logged.update({event: fields}))
    watched = World.create(monkeypatch, metrics_ports=(9540, 9541, 9542))
    process.serve(watched.services, heartbeat)
    expected = {"host": "127.0.0.1", "ports": [9540, 9542], "reason": "every port is taken"}
    assert {"metrics.not_served": expected} == logged
