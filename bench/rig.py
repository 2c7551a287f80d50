"""The ground that every benchmark stands on: Redis, S3 and an endpoint without an engine, each in its own process."""

import os
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from hmt_pass.endpoint.specimen import Level, draw, encode, invent
from hmt_pass.store import connect
from local.process import Process, free_port
from local.redis import RedisServer
from local.s3 import BUCKET, S3Server
from local.services import CHECKOUT

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Rig:
    """Where everything is, and the environment of a worker."""

    folder: Path
    redis_url: str
    s3: S3Server
    environment: dict[str, str]

    def upload(self, count: int, photo: bytes) -> list[str]:
        """`count` photos of the same size and different content (bytes after the JPEG's end are ignored)."""
        for number in range(count):
            self.s3.client.put_object(Bucket=BUCKET, Key=f"{number}.jpg", Body=photo + b"%08d" % number)
        return [f"s3://{BUCKET}/{number}.jpg" for number in range(count)]

    def sync(self, when: str) -> None:
        """Have Redis sync its append-only file before every answer (`always`, as it starts) or once a second."""
        with connect(self.redis_url) as store:
            store.config_set("appendfsync", when)

    def flush(self) -> None:
        """Forget all jobs and results."""
        with connect(self.redis_url) as store:
            store.flushall()


class Stub(Process):
    """The endpoint without an engine: bench/stub.py."""

    def __init__(self, log: Path, port: int, latency_s: float) -> None:
        super().__init__("stub", [sys.executable, "-m", "bench.stub", str(port), str(latency_s)], log, cwd=CHECKOUT)
        self.url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return requests.get(self.url, timeout=1).ok
        except requests.RequestException:
            return False


class CeleryWorker(Process):
    """A worker of any app in this checkout; ready when it says so."""

    ready_timeout_s = 60.0
    grace_s = 60.0

    def __init__(self, app: str, log: Path, environment: Mapping[str, str], *options: str) -> None:
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-l", "INFO", "--without-mingle", *options]
        super().__init__(app, command, log, {**environment, "PYTHONPATH": str(CHECKOUT)}, cwd=CHECKOUT)

    def ready(self) -> bool:
        """Whether its log says that it is."""
        return " ready." in self.log.read_text()

    def cpu_s(self) -> float:
        """CPU seconds of the process and its children so far (Linux)."""
        return sum(_cpu_s(pid) for pid in [self.pid, *_children(self.pid)])

    def memory_mb(self) -> float:
        """Resident memory of the process and its children (Linux)."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in [self.pid, *_children(self.pid)])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def rig(latency_s: float = 0.0) -> Iterator[Rig]:
    """Start everything; the endpoint answers after `latency_s`."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        stub = Stub(folder / "stub.log", free_port(), latency_s)
        with RedisServer(folder / "redis") as redis, S3Server(folder / "s3.log") as s3, stub:
            environment = {
                **s3.client_environment,
                "REDIS_URL": redis.url,
                "HMT_PASS_API_ID": "bench",
                "HMT_PASS_API_SECRET": "bench",
                "HMT_PASS_ENDPOINT_URL": stub.url,
            }
            yield Rig(folder, redis.url, s3, environment)


def photo() -> bytes:
    """One drawn permit as a JPEG."""
    rng = random.Random(1)
    return encode(draw(invent(rng), Level.PHONE, rng), Level.PHONE, rng)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
