import os
import signal
from typing import Any

import pytest
from fakes import World, message_of

from hmt_pass import keys
from hmt_pass.job import Lane
from worker import pulse
from worker.heartbeat import DEAF_AFTER_S, EXIT_CODE, OVERDUE_SLACK_S, REFUSALS_IN_A_ROW, Heartbeat


class Time:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    for module in ("heartbeat", "pulse"):
        monkeypatch.setattr(f"worker.{module}.time", time)
    monkeypatch.setattr("worker.pulse._last", time.now_s)
    return time


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, time: Time) -> World:
    world = World.create(monkeypatch)
    monkeypatch.setattr(world.services.leases, "_clock", time.monotonic)
    return world


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the process sent itself: a signal, or the code that it ended with."""
    sent: list[object] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(number) if pid == os.getpid() else None)
    monkeypatch.setattr(os, "_exit", sent.append)
    return sent


@pytest.fixture
def heartbeat(world: World) -> Heartbeat:
    return Heartbeat(world.services, list(Lane))


def deaf_for(heartbeat: Heartbeat, time: Time, seconds: float) -> None:
    heartbeat.beat()
    time.now_s += seconds
    heartbeat.beat()


def test_a_beat_renews_claims_and_bookings(world: World, heartbeat: Heartbeat) -> None:
    job = world.job()
    world.services.claims.claim(job)
    world.store.pexpire(keys.claim(job.job_id), 200)
    world.store.zadd(keys.BOOKED_BY_TIME, {"tag": 1.0})
    world.services.booked.taken("tag")

    heartbeat.beat()

    assert world.store.pttl(keys.claim(job.job_id)) > 50_000
    assert float(world.store.zscore(keys.BOOKED_BY_TIME, "tag") or 0) > 1_000_000


def test_a_broker_that_is_silent_does_not_keep_claims_from_being_renewed(
    world: World, heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = []
    monkeypatch.setattr(world.services.leases, "renew", lambda: renewed.append("claims"))
    world.services.booked.taken("tag")
    world.server.connected = False

    heartbeat.beat()

    assert ["claims"] == renewed


def test_a_stuck_job_ends_the_worker_warmly_with_every_stack_in_the_log(
    world: World, heartbeat: Heartbeat, time: Time, signals: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: dict[str, Any] = {}
    monkeypatch.setattr("worker.heartbeat.log.critical", lambda event, **fields: logged.update({event: fields}))
    job = world.job()
    world.services.claims.claim(job)
    time.now_s += world.services.settings.deadline_s + OVERDUE_SLACK_S

    heartbeat.beat()

    assert [signal.SIGTERM] == signals
    assert [job.job_id] == logged["worker.ends"]["jobs"]
    assert "heartbeat.py" in logged["worker.ends"]["stacks"]["MainThread"]


def test_a_worker_whose_only_job_is_stuck_kills_itself(
    world: World, heartbeat: Heartbeat, time: Time, signals: list[object]
) -> None:
    world.services.claims.claim(world.job())
    time.now_s += world.services.settings.deadline_s + OVERDUE_SLACK_S
    for _ in range(2):
        heartbeat.beat()
    assert [signal.SIGTERM, EXIT_CODE] == signals


def test_jobs_beside_a_stuck_one_may_finish_first(
    world: World, heartbeat: Heartbeat, time: Time, signals: list[object]
) -> None:
    world.services.claims.claim(world.job())
    time.now_s += world.services.settings.deadline_s + OVERDUE_SLACK_S
    neighbour = world.services.claims.claim(world.job("another", key="b.jpg"))
    for _ in range(3):
        heartbeat.beat()
    assert [signal.SIGTERM] == signals

    world.services.claims.release(neighbour)
    heartbeat.beat()

    assert [signal.SIGTERM, EXIT_CODE] == signals


def test_a_shutdown_that_takes_too_long_is_cut_short(
    world: World, heartbeat: Heartbeat, time: Time, signals: list[object]
) -> None:
    world.services.queues.publish(message_of(world.job()))
    deaf_for(heartbeat, time, DEAF_AFTER_S + 1)
    time.now_s += world.services.settings.deadline_s + 1
    heartbeat.beat()
    assert [signal.SIGTERM, EXIT_CODE] == signals


def test_a_worker_that_takes_nothing_while_messages_wait_is_deaf(
    world: World, heartbeat: Heartbeat, time: Time, signals: list[object]
) -> None:
    world.services.queues.publish(message_of(world.job()))
    deaf_for(heartbeat, time, DEAF_AFTER_S)
    assert [] == signals
    time.now_s += 1
    heartbeat.beat()
    assert [signal.SIGTERM] == signals


def test_a_worker_that_took_something_is_not_deaf(
    world: World, heartbeat: Heartbeat, time: Time, signals: list[object]
) -> None:
    world.services.queues.publish(message_of(world.job()))
    deaf_for(heartbeat, time, DEAF_AFTER_S - 1)
    pulse.felt()
    time.now_s += 5
    heartbeat.beat()
    assert [] == signals


@pytest.mark.parametrize("why", ["nothing waits", "on hold", "every thread is busy", "redis is silent"])
def test_a_worker_that_has_a_reason_to_take_nothing_is_not_deaf(
    world: World, heartbeat: Heartbeat, time: Time, signals: list[object], monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why != "nothing waits":
        world.services.queues.publish(message_of(world.job()))
    if why == "on hold":
        world.services.hold.open("no money", by="a test")
    monkeypatch.setattr(world.services.leases, "count", lambda: 32 if why == "every thread is busy" else 0)
    world.server.connected = why != "redis is silent"
    deaf_for(heartbeat, time, DEAF_AFTER_S + 1)
    assert [] == signals


def test_a_child_of_a_pool_of_processes_consumes_nothing_and_is_not_deaf(
    world: World, time: Time, signals: list[object]
) -> None:
    world.services.queues.publish(message_of(world.job()))
    deaf_for(Heartbeat(world.services, lanes=[]), time, DEAF_AFTER_S + 1)
    assert [] == signals


@pytest.mark.parametrize("lane", Lane)
def test_a_worker_of_one_lane_is_not_deaf_to_the_other(
    world: World, time: Time, signals: list[object], lane: Lane
) -> None:
    world.services.queues.publish(message_of(world.job(lane=lane)))
    (other,) = set(Lane) - {lane}
    deaf_for(Heartbeat(world.services, [other]), time, DEAF_AFTER_S + 1)
    assert [] == signals
    deaf_for(Heartbeat(world.services, [lane]), time, DEAF_AFTER_S + 1)
    assert [signal.SIGTERM] == signals


def test_a_worker_whose_pool_takes_no_jobs_ends_once(
    heartbeat: Heartbeat, signals: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.pulse._refusals", 0)
    for _ in range(REFUSALS_IN_A_ROW - 1):
        pulse.refused()
    heartbeat.beat()
    assert [] == signals
    pulse.refused()
    for _ in range(2):
        heartbeat.beat()
    assert [signal.SIGTERM] == signals
