"""100,000 dead letters, and how long an operator waits for each command, on Redis and on RabbitMQ."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hmt_pass import keys
from hmt_pass.errors import SettingsError, StoreError
from hmt_pass.job import Job
from hmt_pass.store import connect
from local.rabbitmq import RabbitServer
from local.redis import RedisServer
from local.s3 import BUCKET, S3Server
from local.services import CHECKOUT
from worker.dead_letter_index import chunks
from worker.envelope import TaskMessage
from worker.letters import DeadLetter
from worker.services import Services, build
from worker.settings import Settings

COUNT = 100_000
PHOTOS = 1_000  # as many jobs share one: moto keeps them all in memory
FIRST = 1_767_225_600.0  # Unix time of the first death
BATCH, THREADS = 1_000, 8
# What is asked of each; a third of the letters, spread evenly, has the code 9980.
COMMANDS = (
    ("groups",),
    ("list", "--code", "9980"),
    ("list", "--since", "2026-01-02T03:00", "--json"),
    ("export", "--file", os.devnull),
    ("plan", "--no-source-check"),
    ("plan", "--limit", "10000"),
    ("redrive", "--code", "9980", "--rate", "0", "--no-source-check", "--yes"),
    ("redrive", "--all", "--rate", "0", "--no-source-check", "--yes"),
)


def run() -> None:
    """Print the seconds of each command, for every broker that is installed."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        redis = stack.enter_context(RedisServer(folder / "redis"))
        s3 = stack.enter_context(S3Server(folder / "s3.log"))
        with connect(redis.url) as store:
            store.config_set("maxmemory", "4gb")
        for number in range(PHOTOS):
            s3.client.put_object(Bucket=BUCKET, Key=f"{number}.jpg", Body=b"a photo")
        environment = {**s3.client_environment, "REDIS_URL": redis.url}
        _measure("Redis", environment)
        with connect(redis.url) as store:
            store.flushall()
        try:
            rabbit = stack.enter_context(RabbitServer(folder / "rabbitmq"))
        except SettingsError as error:
            print(f"\n{error}")
            return
        _measure("RabbitMQ", {**environment, "BROKER_URL": rabbit.url})


@dataclass
class _Watch:
    """Seconds that went by, and CPU seconds of the commands: their own time on a machine that does nothing else."""

    elapsed_s: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def _watched() -> Iterator[_Watch]:
    watch, began_s, began_cpu_s = _Watch(), time.monotonic(), _cpu_s()
    yield watch
    watch.elapsed_s, watch.cpu_s = time.monotonic() - began_s, _cpu_s() - began_cpu_s


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _measure(broker: str, environment: dict[str, str]) -> None:
    environment = {**environment, "HMT_PASS_API_ID": "bench", "HMT_PASS_API_SECRET": "bench"}
    os.environ.update(environment)
    services = build(Settings.load())
    with _watched() as watch:
        _fill(services)
    used_mb = services.store.info("memory")["used_memory"] / 1e6
    print(f"\n{broker}: {COUNT} dead letters put in {watch.elapsed_s:.0f} s; Redis uses {used_mb:.0f} MB")
    print(f"{'s':>8}{'CPU s':>8}")
    for command in COMMANDS:
        with _watched() as watch:
            answer = subprocess.run(
                [sys.executable, "-m", "worker", "dead-letters", *command],
                cwd=CHECKOUT,
                capture_output=True,
                text=True,
                check=False,
            )
        said = answer.stdout.splitlines()[-1:] if command[0] in {"plan", "redrive"} else []
        told = answer.stderr if answer.returncode else "".join(said).strip()
        print(f"{watch.elapsed_s:>8.1f}{watch.cpu_s:>8.1f}  dead-letters {' '.join(command)}  {told}", flush=True)


def _fill(services: Services) -> None:
    threads = ThreadPoolExecutor(THREADS)
    for numbers in chunks(range(COUNT), BATCH):
        with services.store.pipeline(transaction=False) as pipe:
            for number in numbers:
                job = _job(number)
                fields = {"image": str(job.image), "hmt_flag": 0, "lane": "interactive", "state": "dead", "attempts": 1}
                pipe.hset(keys.job(job.job_id), mapping=fields)
                pipe.sadd(keys.DEAD_JOBS, job.job_id)
            pipe.execute()
        list(threads.map(lambda number: _put(services, number), numbers))


def _put(services: Services, number: int) -> None:
    """As a worker does, which tries again when the broker refuses."""
    job = _job(number)
    while True:
        with suppress(StoreError):
            services.dead_letters.put(_letter(job, number), TaskMessage.for_job(job), FIRST + number)
            return


def _job(number: int) -> Job:
    return Job.create(f"s3://{BUCKET}/{number % PHOTOS}.jpg", job_id=f"{number:032d}")


def _letter(job: Job, number: int) -> DeadLetter:
    code, reason = (
        ("9980", "the account has no money left") if number % 3 == 0 else ("9999", "exhausted: internal error")
    )
    moment = "2026-01-01T00:00:00.000+00:00"
    attempt = {
        "attempt": 1,
        "sequence_id": job.sequence_id(1),
        "started_at": moment,
        "ended_at": moment,
        "ms": 612,
        "code": code,
        "meaning": reason,
        "charge": 2,
        "request_id": f"TID{number:032d}",
        "error": None,
        "possibly_charged": False,
        "worker": "a-host:1",
    }
    return DeadLetter(
        job.job_id,
        reason,
        moment,
        detail=f"{code} {reason}",
        image=str(job.image),
        hmt_flag=0,
        code=code,
        msg="余额不足" if code == "9980" else "服务器内部错误",
        request_id=f"TID{number:032d}",
        attempts=[attempt],
        first_failure_at=moment,
        last_failure_at=moment,
        worker="a-host:1",
        worker_version="0.1.0",
    )
