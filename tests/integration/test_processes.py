"""Workers of processes, `-P processes`, told to end in the middle of calls, as a whole and one by one.

The broker has no part in which signal it was, so each is tried on one.
"""

import os
import signal
import time
from pathlib import Path

import pytest
from system import System

from hmt_pass.status import State

CALL_S = 3.0
CHILDREN = 2
SETTINGS = {"concurrency": CHILDREN, "visibility_timeout_s": 4}
pytestmark = pytest.mark.timeout(120)


def children(pid: int) -> list[int]:
    """The processes that it has forked."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def in_calls(system: System) -> tuple[int, list[str]]:
    """The process id of a worker whose children are all in a call, and its jobs, of which as many again wait."""
    system.books.latency_s = CALL_S
    worker = system.worker("-P", "processes", **SETTINGS)
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(2 * CHILDREN)]
    system.until(lambda: len(system.books.lines) == CHILDREN)
    return worker.pid, job_ids


def possibly_charged(system: System, job_ids: list[str]) -> int:
    """How many of the jobs' calls are on record as possibly charged."""
    return sum(attempt["possibly_charged"] for job_id in job_ids for attempt in system.stored(job_id)["attempts"])


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_sigterm_to_every_process_lets_running_jobs_finish(system: System) -> None:
    pid, job_ids = in_calls(system)

    os.killpg(pid, signal.SIGTERM)  # as systemd does
    system.until(lambda: not system.workers[0].running, CALL_S + 10)
    finished = [system.producer.status(job_id).state for job_id in job_ids].count(State.RECOGNIZED)
    assert finished >= CHILDREN

    system.worker(**SETTINGS)
    assert {State.RECOGNIZED} == set(system.wait(*job_ids))
    assert (len(job_ids), 0) == (len(system.books.lines), possibly_charged(system, job_ids))


@pytest.mark.parametrize(
    ("broker", "signals"),
    [("redis", [signal.SIGQUIT]), ("rabbitmq", [signal.SIGINT, signal.SIGINT])],
    ids=["SIGQUIT", "SIGINT twice"],
    indirect=["broker"],
)
def test_a_cold_shutdown_waits_for_no_call_and_its_jobs_come_back(
    system: System, signals: list[signal.Signals]
) -> None:
    pid, job_ids = in_calls(system)
    system.books.latency_s = 0
    begun_s = time.monotonic()

    for number in signals:
        os.kill(pid, number)
        time.sleep(0.3)
    system.until(lambda: not system.workers[0].running, 15)
    assert CHILDREN == len(system.books.lines)
    assert time.monotonic() - begun_s < CALL_S + 2

    system.worker(**SETTINGS)
    assert {State.RECOGNIZED} == set(system.wait(*job_ids))
    assert CHILDREN == possibly_charged(system, job_ids)


@pytest.mark.parametrize(
    ("broker", "number"),
    [("redis", signal.SIGQUIT), ("rabbitmq", signal.SIGHUP)],
    ids=["SIGQUIT", "SIGHUP"],
    indirect=["broker"],
)
def test_the_job_of_a_child_that_a_signal_ends_comes_back_and_is_no_bug(system: System, number: signal.Signals) -> None:
    pid, job_ids = in_calls(system)
    system.books.latency_s = 0

    for child in children(pid):
        os.kill(child, number)

    assert {State.RECOGNIZED} == set(system.wait(*job_ids))
    assert CHILDREN == possibly_charged(system, job_ids)
    assert [] == system.command("dead-letters", "list")
    assert "job.bug" not in system.logs()
