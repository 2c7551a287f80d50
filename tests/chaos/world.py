"""One test's world: its own Redis, a share of the session's S3 and endpoint, workers, a producer, and the auditor."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaos.auditor import Findings, audit
from chaos.facts import JobFacts
from chaos.fleet import Fleet
from chaos.gate import Gate, S3Gate
from chaos.held import Held
from chaos.nursery import Nursery
from chaos.photos import Photos
from chaos.report import Report
from chaos.scripted import Scripted
from chaos.stores import gather, open_jobs, read_jobs, states

from hmt_pass.producer import JobOptions, Producer
from hmt_pass.store import Store, connect
from local.rabbitmq import RabbitServer
from local.redis import RedisServer
from local.s3 import S3Server
from local.stage import until

CALM_S = 0.5
REFUSED_S = 30.0  # a worker finds them after two visibility timeouts
ENDS = {"recognized", "rejected", "dead"}


@dataclass
class World:
    """Everything that a fault happens to. `full` asks for the long form of a test."""

    broker: str
    full: bool
    seed: int
    report: Report
    redis: RedisServer
    broker_redis: RedisServer
    store: Store
    held: Held
    s3: S3Server
    endpoint: Scripted
    nursery: Nursery
    photos: Photos
    folder: Path
    environment: dict[str, str]
    stack: ExitStack
    rabbit: RabbitServer | None = None
    redis_gate: Gate | None = None
    rabbit_gate: Gate | None = None
    s3_gate: S3Gate | None = None
    accepted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.producer = Producer(self.environment["REDIS_URL"], self.environment["BROKER_URL"])
        self.fleet = Fleet(self.nursery, self.folder, self.environment, self.chance)
        self.stack.callback(self.fleet.end)
        self.endpoint.reset()

    def size(self, short: int, full: int) -> int:
        """One of the two, by the form that was asked for."""
        return full if self.full else short

    def job_id(self, number: int) -> str:
        """An id that no other test has: S3 keeps their results."""
        return f"{self.seed:08x}-{number:05d}"

    def enqueue(self, count: int, first: int = 0) -> list[str]:
        """Enqueue jobs, each with an image of its own."""
        images = self.photos.references(first + count)[first:]
        jobs = [(image, JobOptions(job_id=self.job_id(number))) for number, image in enumerate(images, first)]
        job_ids = self.producer.enqueue_many(jobs)
        self.accepted += job_ids
        return job_ids

    def broker_store(self) -> Store:
        """A connection to the broker's Redis."""
        return self.stack.enter_context(connect(self.broker_redis.url))

    def drain(self, timeout_s: float = 60.0) -> float:
        """Wait until every accepted job has its end and the broker holds no message; returns the seconds it took.

        Returns too when that does not happen in time: the auditor says what is missing.
        """
        started_s = time.monotonic()
        while until(self.is_drained, timeout_s):
            took_s = time.monotonic() - started_s
            time.sleep(CALM_S)  # what a worker has in hand RabbitMQ does not show, and it may come back
            if self.is_drained():
                self._let_refused_jobs_end()
                return took_s
        return time.monotonic() - started_s

    def _let_refused_jobs_end(self) -> None:
        """Redis may have taken a job whose producer heard nothing of it: a worker misses it, and it is judged too."""
        until(lambda: not open_jobs(self.store) and self.is_drained(), REFUSED_S)

    def is_drained(self) -> bool:
        return set(states(self.store, self.accepted)) <= ENDS and not self.held.waiting()

    def until(self, happened: Callable[[], object], timeout_s: float = 20.0) -> None:
        assert until(lambda: bool(happened()), timeout_s), "it did not happen in time"

    def ended(self, job_ids: Iterable[str]) -> int:
        """How many of the jobs have their end."""
        return sum(state in ENDS for state in states(self.store, list(job_ids)))

    def jobs(self) -> Iterator[JobFacts]:
        """What Redis says about every job that was accepted."""
        return read_jobs(self.store, self.accepted)

    def verdict(self, fault: str, timeout_s: float = 60.0, *, faults: int = 0) -> Findings:
        """What is found once everything had its time to end; `faults` counts those that are not the fleet's."""
        recovery_s = self.drain(timeout_s)
        return self.audit(fault, recovery_s, faults=faults)

    def audit(
        self,
        fault: str,
        recovery_s: float | None = None,
        *,
        faults: int = 0,
        drained: bool = True,
        reconciled: bool = True,
    ) -> Findings:
        """Judge what happened to the jobs that were accepted, and put a row named `fault` into the report.

        `reconciled=False` when no worker would miss a job that only the registry knows.
        """
        calls = self.endpoint.calls()
        facts = gather(self.store, self.held, self.s3, calls, self.accepted, drained=drained)
        found = audit(facts if reconciled else replace(facts, open_jobs=frozenset()))
        found.faults, found.recovery_s = self.fleet.faults_injected + faults, recovery_s
        self.report.put(fault, self.broker, found)
        return found
