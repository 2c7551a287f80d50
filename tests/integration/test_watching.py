"""What a real worker says of itself, while all is well and while it is not, in both pools."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from system import LoggedWorker, System

from local.process import free_port
from worker.hold import Hold
from worker.limits import Limits


class Watched:
    """The port on which a worker answers."""

    def __init__(self) -> None:
        self.port = free_port()
        self._session = requests.Session()
        self._session.trust_env = False

    def health(self) -> tuple[int, str, list[str]]:
        """Status, state and problems; 0 before it answers."""
        try:
            answer = self._get("healthz")
        except requests.ConnectionError:
            return 0, "", []
        document: dict[str, Any] = answer.json()
        return answer.status_code, document["state"], document["problems"]

    def figure(self, name: str) -> float:
        match = re.search(rf"^hmt_pass_worker_{name} (\S+)$", self._get("metrics").text, re.MULTILINE)
        assert match, name
        return float(match[1])

    def _get(self, path: str) -> requests.Response:
        return self._session.get(f"http://127.0.0.1:{self.port}/{path}", timeout=2)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


WELL = (200, "consuming", [])


def test_a_worker_says_that_it_consumes_is_held_or_has_lost_redis(system: System) -> None:
    watched = Watched()
    system.books.latency_s = 1.5
    worker = system.worker(metrics_ports=watched.port)
    system.until(lambda: watched.health() == WELL)
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(2)]
    system.until(lambda: watched.figure("jobs_in_hand") == 2)

    hold = Hold(system.store, Limits(), "test")
    hold.open("a test of the brakes", by="test")
    system.until(lambda: watched.health() == (200, "held", []))
    system.until(lambda: (watched.figure("consuming"), watched.figure("healthy")) == (0, 1))
    hold.release(by="test")
    system.until(lambda: watched.figure("consuming") == 1)

    with frozen(system.redis.pid):
        system.until(lambda: watched.health()[0] == 503)
        assert watched.health()[2][0].startswith("Redis does not answer")
        assert 0 == watched.figure("healthy")
    system.until(lambda: watched.health() == WELL)

    job_ids.append(system.producer.enqueue(system.upload("last.png", 9)))
    system.until(lambda: watched.figure("jobs_in_hand") == 1)
    os.kill(worker.pid, signal.SIGTERM)  # while a job still runs, it answers
    system.until(lambda: watched.health() == (503, "not consuming", ["it is shutting down"]))
    assert {"recognized"} == set(system.wait(*job_ids))


def test_a_pool_of_processes_is_answered_for_by_its_parent(system: System) -> None:
    watched = Watched()
    system.books.latency_s = 3.0
    environment = {
        **system.environment,
        "HMT_PASS_METRICS_PORTS": str(watched.port),
        "HMT_PASS_CONCURRENCY": "2",
        "HMT_PASS_VISIBILITY_TIMEOUT_S": "4",  # a beat a second
    }
    options = ["-P", "processes"]
    worker = LoggedWorker(system.folder / "processes.log", environment, system.broker.url, "processes", options)
    system.stack.enter_context(worker)
    system.until(lambda: watched.health() == WELL)
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(2)]
    system.until(lambda: len(system.books.lines) == 2)  # so both children have beaten
    assert (2, 2) == (watched.figure("jobs_in_hand"), watched.figure("capacity_jobs"))

    with frozen(children(worker.pid)[0]):  # its heart stands still, and the parent notices
        system.until(lambda: any("heartbeat" in problem for problem in watched.health()[2]))
    system.until(lambda: watched.health() == WELL)
    assert {"recognized"} == set(system.wait(*job_ids))


def children(pid: int) -> list[int]:
    """The processes that it has forked."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
