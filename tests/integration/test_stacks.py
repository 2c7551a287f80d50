"""A worker that is asked where its threads are, in the middle of jobs: it says so, and nothing about anybody."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from system import System

from hmt_pass.status import State

ASKED = 40
CONCURRENCY = 4
SHORT = 3  # the sex and its like are in any text


def values(document: object) -> Iterator[str]:
    """Every text in the fields of a permit."""
    if isinstance(document, dict):
        for part in document.values():
            yield from values(part)
    elif isinstance(document, str) and len(document) > SHORT:
        yield document


def processes(pid: int) -> list[int]:
    """A worker and what it has forked."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


@pytest.mark.parametrize(("broker", "pool"), [("redis", "threads"), ("redis", "processes")], indirect=["broker"])
def test_a_worker_under_load_says_where_its_threads_are_and_no_field_of_a_permit(system: System, pool: str) -> None:
    system.books.latency_s = 0.02
    worker = system.worker(*(["-P", "processes"] if pool == "processes" else []))
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(80)]
    asked = processes(worker.pid)
    system.until(lambda: len(system.books.lines) > CONCURRENCY)

    for _ in range(ASKED):
        for pid in asked:
            os.kill(pid, signal.SIGUSR1)
        time.sleep(0.05)

    assert {State.RECOGNIZED} == set(system.wait(*job_ids))
    assert asked == processes(worker.pid)
    fields = list(values(system.stored(job_ids[0])["permit"]))
    log = worker.log.read_text()
    assert len(fields) > SHORT
    assert [] == [field for field in fields if field in log]
    assert log.count("(most recent call last)") >= ASKED
    assert {"heartbeat.py", "recognize.py"} == {name for name in ("heartbeat.py", "recognize.py") if name in log}
    assert "LOCAL VARIABLES" not in log
