import os
import signal
from collections.abc import Iterator

import pytest
from celery.signals import task_postrun, task_prerun
from fakes import World

from hmt_pass.status import State
from worker import children
from worker.celery import app
from worker.heartbeat import OVERDUE_SLACK_S, Heartbeat
from worker.task import JobRequest


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


@pytest.fixture
def ended() -> Iterator[list[int]]:
    """This process as a child, and how often SIGTERM would have ended it."""
    times: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: times.append(number))
    answered_before = signal.getsignal(signal.SIGUSR1)
    receivers = (list(task_prerun.receivers), list(task_postrun.receivers))
    children._handler.cache_clear()  # noqa: SLF001  one process's
    children.begin()
    yield times
    task_prerun.receivers, task_postrun.receivers = receivers
    children._handler.cache_clear()  # noqa: SLF001  the same
    signal.signal(signal.SIGTERM, before)
    signal.signal(signal.SIGUSR1, answered_before)


def test_a_job_is_shielded_from_sigterm_and_an_idle_child_is_not(ended: list[int]) -> None:
    for times in range(2):
        task_prerun.send(sender=None, task_id="a")
        os.kill(os.getpid(), signal.SIGTERM)
        assert times == len(ended)
        task_postrun.send(sender=None, task_id="a", retval=None)
        os.kill(os.getpid(), signal.SIGTERM)
        assert times + 1 == len(ended)


def test_a_child_ignores_sigusr1_until_it_can_say_where_its_threads_are(
    ended: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "欧阳试样"
    os.kill(os.getpid(), signal.SIGUSR1)
    assert not capfd.readouterr().err
    task_prerun.send(sender=None, task_id="a")
    os.kill(os.getpid(), signal.SIGUSR1)
    said = capfd.readouterr().err
    assert (True, False) == ("Thread MainThread (most recent call last)" in said, secret in said)
    task_postrun.send(sender=None, task_id="a", retval=None)
    assert [] == ended


@pytest.mark.parametrize("error", [SystemExit(-241), ValueError("raised by a clean-up on the way out")])
def test_what_a_job_raises_as_its_process_is_told_to_end_is_no_bug_and_counts_toward_no_hold(
    world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr("worker.children.terminate_handler_fired", lambda: True)
    jobs = [world.job(f"photo {number}", key=f"{number}.jpg") for number in range(12)]
    world.script(*[error] * len(jobs))

    for job in jobs:
        with pytest.raises(type(error)):
            world.run(job)

    assert {State.QUEUED} == {world.status(job).state for job in jobs}
    assert ([], False) == (list(world.services.dead_letters.list()), world.services.hold.is_on())
    attempts = [attempt for job in jobs for attempt in world.services.claims.attempts(job.job_id)]
    assert [True] * len(jobs) == [attempt["possibly_charged"] for attempt in attempts]


def test_a_cold_shutdown_ends_a_job_that_ignores_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr("celery.worker.request.Request.cancel", lambda *about, **_: told.append(about[2]))
    JobRequest.cancel(JobRequest.__new__(JobRequest), app)
    assert [signal.SIGHUP] == told


def test_a_child_whose_job_is_stuck_ends_by_a_signal_that_it_does_not_ignore(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: sent.append(number))
    world.services.claims.claim(world.job())
    monkeypatch.setattr(world.services.leases, "overdue", lambda slack_s: ["a"] if slack_s == OVERDUE_SLACK_S else [])
    Heartbeat(world.services, lanes=[]).beat()
    assert [signal.SIGHUP] == sent
