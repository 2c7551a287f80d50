"""Workers that die, freeze, go deaf or lose their connection, on real processes."""

import os
import signal
import time

import pytest
from system import System

from hmt_pass import keys
from hmt_pass.status import State

HASTY = {"visibility_timeout_s": 4, "total_timeout_s": 3, "connect_timeout_s": 1, "storage_timeout_s": 1}


@pytest.mark.timeout(120)
def test_the_jobs_of_a_killed_worker_come_back_and_their_calls_are_possibly_charged(system: System) -> None:
    system.books.latency_s = 2.0
    victim = system.worker(**HASTY)
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(4)]
    system.until(lambda: len(system.books.lines) == 4)
    victim.kill()
    assert {State.RUNNING} == {system.producer.status(job_id).state for job_id in job_ids}

    system.worker(**HASTY)

    assert {State.RECOGNIZED} == set(system.wait(*job_ids))
    for job_id in job_ids:
        killed, finished = system.stored(job_id)["attempts"]
        assert ("worker died", True) == (killed["error"], killed["possibly_charged"])
        assert ("0000", 1) == (finished["code"], finished["charge"])
        assert 0 == system.store.exists(keys.receipt(job_id))
    assert 8 == system.books.charges  # the killed calls were charged, and our own books say that they may have been
    assert [] == system.command("dead-letters", "list")


def test_a_lost_connection_runs_no_job_twice(system: System) -> None:
    system.books.latency_s = 2.0
    worker = system.worker()
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(6)]
    system.until(lambda: len(system.books.lines) == 4)

    system.store.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    assert {State.RECOGNIZED} == set(system.wait(*job_ids))
    assert 6 == len(system.books.lines)
    assert worker.running


def test_a_cold_shutdown_does_not_wait_for_a_call_and_the_job_comes_back(system: System) -> None:
    system.books.latency_s = 12.0
    worker = system.worker(visibility_timeout_s=4)
    job_id = system.producer.enqueue(system.upload("one.png"))
    system.until(lambda: system.books.lines)
    system.books.latency_s = 0

    os.kill(worker.pid, signal.SIGQUIT)
    system.until(lambda: not worker.running, 8.0)

    system.worker(**HASTY)
    assert [State.RECOGNIZED] == system.wait(job_id)
    assert [True, False] == [attempt["possibly_charged"] for attempt in system.stored(job_id)["attempts"]]


def test_a_second_sigterm_changes_nothing(system: System) -> None:
    system.books.latency_s = 2.0
    worker = system.worker()
    job_id = system.producer.enqueue(system.upload("one.png"))
    system.until(lambda: system.books.lines)

    for _ in range(2):
        os.kill(worker.pid, signal.SIGTERM)
        time.sleep(0.2)
    system.until(lambda: not worker.running)

    assert (State.RECOGNIZED, 1) == (system.producer.status(job_id).state, system.books.charges)


@pytest.mark.timeout(120)
def test_a_worker_that_was_frozen_beyond_its_lease_writes_nothing_over_anothers_work(system: System) -> None:
    system.books.latency_s = 1.5
    frozen = system.worker(**HASTY)
    job_id = system.producer.enqueue(system.upload("one.png"))
    system.until(lambda: system.books.lines)
    os.kill(frozen.pid, signal.SIGSTOP)
    system.worker(**HASTY)
    assert [State.RECOGNIZED] == system.wait(job_id, timeout_s=30)
    document = system.stored(job_id)

    os.kill(frozen.pid, signal.SIGCONT)
    system.until(lambda: "claim was lost" in frozen.log.read_text() or "job.finished" in frozen.log.read_text())

    assert document == system.stored(job_id)
    assert 2 == system.books.charges
    assert [True, False] == [attempt["possibly_charged"] for attempt in document["attempts"]]
    system.until(lambda: 0 == system.store.exists(keys.BOOKED, keys.DELAYED, "hmt_pass"))
