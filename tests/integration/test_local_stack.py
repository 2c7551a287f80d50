"""The whole stack, as a parent that is stopped, killed, or cannot start."""

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hmt_pass.producer import Producer
from hmt_pass.status import State
from local import __main__, cards
from local.process import ProcessError
from local.redis import RedisServer
from local.stack import running_stack
from local.stage import http, until

NAMES = ["redis", "s3", "endpoint", "worker", "flower"]
START_S = 90.0
GONE_S = 10.0


class Up:
    """`python -m local up` as a child, until it is ready."""

    def __init__(self, folder: Path) -> None:
        self._output = folder / "up.txt"
        with self._output.open("w") as output:
            command = [sys.executable, "-u", "-m", "local", "up", "--folder", str(folder)]
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        assert until(lambda: "Ctrl-C stops" in self.output or self.process.poll() is not None, START_S), self.output

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def pids(self) -> list[int]:
        """The processes it says it started."""
        return [int(pid) for pid in re.findall(r"is ready \(process (\d+)\)", self.output)]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    started = Up(tmp_path)
    yield started
    started.process.kill()
    started.process.wait()


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected yet does not."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_up_serves_until_it_is_asked_to_stop_and_then_redis_goes_last(up: Up, tmp_path: Path) -> None:
    assert 5 == len(up.pids)
    assert 1 == __main__.main(["up", "--folder", str(tmp_path)])  # a second one must not empty its folder

    up.process.send_signal(signal.SIGTERM)

    assert 0 == up.process.wait(timeout=60)
    assert NAMES[::-1] == re.findall(r"^(\w+) stopped$", up.output, re.MULTILINE)
    assert not any(map(_alive, up.pids))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_parent_killed_with_9_leaves_no_process(up: Up) -> None:
    assert 5 == len(up.pids)

    up.process.kill()

    assert until(lambda: not any(map(_alive, up.pids)), GONE_S)


def test_what_had_started_is_stopped_when_one_process_cannot_start(tmp_path: Path) -> None:
    said: list[str] = []

    with (
        pytest.raises(ProcessError, match=r"(?s)worker ended with code.*HMT_PASS_CONCURRENCY"),
        running_stack(tmp_path, said.append, {"HMT_PASS_CONCURRENCY": "0"}),
    ):
        pytest.fail("the worker started")

    assert {"redis stopped", "s3 stopped", "endpoint stopped"} <= set(said)


def test_a_job_that_has_begun_is_finished_before_redis_goes(tmp_path: Path) -> None:
    with running_stack(tmp_path, print) as stack:
        stack.s3.client.put_object(Bucket="hmt-pass-demo", Key="card.jpg", Body=cards.later()[0].image)
        http("POST", f"{stack.endpoint.url}/_faults", {"latency_s": 3, "count": 1})
        producer = Producer(stack.redis.url, stack.redis.url)
        job_id = producer.enqueue("s3://hmt-pass-demo/card.jpg")
        assert until(lambda: producer.status(job_id).state is State.RUNNING, timeout_s=10)
        began_s = time.monotonic()

    assert time.monotonic() - began_s > 2
    with RedisServer(tmp_path / "redis") as redis:
        assert State.RECOGNIZED is Producer(redis.url, redis.url).status(job_id).state
