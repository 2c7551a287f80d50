"""The whole system on one machine: started in order, stopped in the reverse order, nothing left behind.

The order of the stop is the point: the worker finishes its jobs while Redis, S3 and the endpoint still answer.
"""

import fcntl
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.process import Process
from local.redis import RedisServer
from local.s3 import S3Server
from local.services import Endpoint, Flower, Worker


class FolderInUseError(Exception):
    """Another stack runs in the folder. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running system. `environment` is what a worker, a producer or `python -m worker` needs to be part of it."""

    folder: Path
    redis: RedisServer
    s3: S3Server
    endpoint: Endpoint
    worker: Worker
    flower: Flower
    environment: Mapping[str, str]

    @property
    def logs(self) -> Path:
        """The folder with one log a process."""
        return self.folder / "logs"

    @property
    def processes(self) -> tuple[Process, ...]:
        """Every process in the order of the start."""
        return (self.redis, self.s3, self.endpoint, self.worker, self.flower)


@contextmanager
def running_stack(
    folder: Path, say: Callable[[str], object], settings: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """A running system whose state and logs lie in `folder`; it begins empty, because S3 forgets too.

    Args:
        folder: may exist; its `redis` and `logs` are emptied.
        say: told of every start and stop, one line each.
        settings: environment for worker and Flower beside what connects them.

    Raises:
        ProcessError: a process did not become ready; those that had started are stopped.
        FolderInUseError: another stack runs in the folder.

    """
    with ExitStack() as ends:
        ends.enter_context(_locked(folder))
        stack = _build(folder, settings or {})
        for process in stack.processes:
            ends.callback(_stop, process, say)
            process.launch()
            if process is stack.redis:  # the others need it from their first moment; they start side by side
                process.wait_until_ready()
        for process in stack.processes:
            process.wait_until_ready()
            say(f"{process.name} is ready (process {process.pid})")
        yield stack


def _build(folder: Path, settings: Mapping[str, str]) -> Stack:
    logs = folder / "logs"
    for leftover in (folder / "redis", logs):
        shutil.rmtree(leftover, ignore_errors=True)
    account = {"HMT_PASS_API_ID": "local", "HMT_PASS_API_SECRET": secrets.token_hex(16)}
    redis = RedisServer(folder / "redis", log=logs / "redis.log")
    s3 = S3Server(logs / "s3.log")
    endpoint = Endpoint(logs / "endpoint.log", account)
    environment = {
        **account,
        "HMT_PASS_ENDPOINT_URL": endpoint.url,
        "HMT_PASS_READ_TIMEOUT_S": "30",  # on a small or busy machine a dozen photos wait for the engine
        "REDIS_URL": redis.url,
        "BROKER_URL": redis.url,  # the default, written out in case a shell has another one
        **s3.client_environment,
        **settings,
    }
    worker = Worker(logs / "worker.log", environment, redis.url)
    return Stack(folder, redis, s3, endpoint, worker, Flower(logs / "flower.log", environment), environment)


def _stop(process: Process, say: Callable[[str], object]) -> None:
    if process.running:
        by_itself = process.stop()
        say(f"{process.name} stopped" if by_itself else f"{process.name} killed: not done after {process.grace_s:g} s")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder; the kernel lets go of it however we end."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(f"A stack already runs in {folder}: stop it, or choose another --folder") from None
        yield
