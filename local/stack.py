"""The whole system on one machine: started in order, stopped in the reverse order, nothing left behind.

The order of the stop is the point: a worker finishes its jobs while Redis, S3 and the endpoint still answer.
"""

import fcntl
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.process import Process
from local.rabbitmq import RabbitServer
from local.redis import RedisServer
from local.s3 import S3Server
from local.services import Endpoint, Flower, Worker


class FolderInUseError(Exception):
    """Another stack runs in the folder. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is in a stack: so many workers; an endpoint that reads, or invents; RabbitMQ for the messages, or Redis."""

    workers: int = 1
    invents: bool = False
    on_rabbitmq: bool = False


@dataclass(frozen=True, slots=True)
class Stack:
    """A running system. `environment` is what a worker, a producer or `python -m worker` needs to be part of it."""

    folder: Path
    redis: RedisServer
    rabbit: RabbitServer | None
    s3: S3Server
    endpoint: Endpoint
    workers: tuple[Worker, ...]
    flower: Flower
    environment: Mapping[str, str]

    @property
    def logs(self) -> Path:
        """The folder with one log a process."""
        return self.folder / "logs"

    @property
    def brokers(self) -> tuple[Process, ...]:
        """What keeps states and messages."""
        return (self.redis, self.rabbit) if self.rabbit else (self.redis,)

    @property
    def processes(self) -> tuple[Process, ...]:
        """Every process in the order of the start."""
        return (*self.brokers, self.s3, self.endpoint, *self.workers, self.flower)


@contextmanager
def running_stack(
    folder: Path, say: Callable[[str], object], settings: Mapping[str, str] | None = None, cast: Cast | None = None
) -> Iterator[Stack]:
    """A running system whose state and logs lie in `folder`; it begins empty, because S3 forgets too.

    Args:
        folder: may exist; its `redis`, `rabbitmq` and `logs` are emptied.
        say: told of every start and stop, one line each.
        settings: environment for workers and Flower beside what connects them.
        cast: who is in it.

    Raises:
        ProcessError: a process did not become ready; those that had started are stopped.
        FolderInUseError: another stack runs in the folder.
        SettingsError: RabbitMQ is wanted and not installed.

    """
    with ExitStack() as ends:
        ends.enter_context(_locked(folder))
        stack = _build(folder, settings or {}, cast or Cast())
        for process in stack.processes:
            ends.callback(_stop, process, say)
            process.launch()
            if process in stack.brokers:  # the others need them from their first moment; they start side by side
                process.wait_until_ready()
        for process in stack.processes:
            process.wait_until_ready()
            say(f"{process.name} is ready (process {process.pid})")
        yield stack


def _build(folder: Path, settings: Mapping[str, str], cast: Cast) -> Stack:
    logs = folder / "logs"
    for leftover in (folder / "redis", folder / "rabbitmq", logs):
        shutil.rmtree(leftover, ignore_errors=True)
    account = {"HMT_PASS_API_ID": "local", "HMT_PASS_API_SECRET": secrets.token_hex(16)}
    redis = RedisServer(folder / "redis", log=logs / "redis.log")
    rabbit = RabbitServer(folder / "rabbitmq", log=logs / "rabbitmq.log") if cast.on_rabbitmq else None
    s3 = S3Server(logs / "s3.log")
    endpoint = Endpoint(logs / "endpoint.log", account, invents=cast.invents)
    environment = {
        **account,
        "HMT_PASS_ENDPOINT_URL": endpoint.url,
        "HMT_PASS_READ_TIMEOUT_S": "30",  # on a small or busy machine a dozen photos wait for the engine
        "REDIS_URL": redis.url,
        "BROKER_URL": rabbit.url if rabbit else redis.url,
        **s3.client_environment,
        **settings,
    }
    names = [f"worker-{number}" for number in range(1, cast.workers + 1)] if cast.workers > 1 else ["worker"]
    workers = [Worker(logs / f"{name}.log", environment, environment["BROKER_URL"], name) for name in names]
    flower = Flower(logs / "flower.log", environment)
    return Stack(folder, redis, rabbit, s3, endpoint, tuple(workers), flower, environment)


def _stop(process: Process, say: Callable[[str], object]) -> None:
    was_running = process.running
    by_itself = process.stop()  # what has ended may have left something behind
    if was_running:
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
