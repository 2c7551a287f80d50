"""Real processes: broker, Redis for the states, S3 protocol and workers, and an endpoint that keeps books."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from books import Books, open_books
from brokers import BROKERS, Broker, RabbitBroker, RedisBroker
from PIL import Image

from hmt_pass.errors import SettingsError
from hmt_pass.producer import Producer
from hmt_pass.status import State
from hmt_pass.store import Store, connect
from local.process import clean_environment
from local.rabbitmq import RabbitServer
from local.redis import RedisServer
from local.s3 import BUCKET, S3Server
from local.services import CHECKOUT, Worker
from local.stage import until


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3") / "s3.log") as server:
        yield server


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(redis_process: RedisServer) -> Iterator[RedisServer]:
    yield redis_process
    with connect(redis_process.url) as store:
        store.flushall()


@pytest.fixture(scope="session")
def rabbit_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    try:
        server = RabbitServer(tmp_path_factory.mktemp("rabbitmq"))
    except SettingsError as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture
def rabbit(rabbit_process: RabbitServer) -> Iterator[RabbitBroker]:
    broker = RabbitBroker(rabbit_process)
    yield broker
    broker.clear()


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "rabbitmq":
        found: Broker = request.getfixturevalue("rabbit")
        return found
    return RedisBroker(request.getfixturevalue("redis"))


@pytest.fixture
def books() -> Iterator[Books]:
    with open_books() as books:
        yield books


@dataclass
class System:
    """What a user has: a bucket, a producer, workers to start, and the operator's commands."""

    redis: RedisServer
    broker: Broker
    s3: S3Server
    books: Books
    folder: Path
    environment: dict[str, str]
    stack: ExitStack
    producer: Producer = field(init=False)
    store: Store = field(init=False)
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.producer = Producer(self.redis.url, self.broker.url)
        self.store = self.stack.enter_context(connect(self.redis.url))

    def worker(self, *options: str, **settings: object) -> Worker:
        """Start one more worker; options of its command, settings by the name of their variable without HMT_PASS_."""
        environment = self.environment | _variables(settings)
        name = f"worker-{len(self.workers)}"
        worker = LoggedWorker(self.folder / f"{name}.log", environment, self.broker.url, name, options)
        self.workers.append(worker)
        return self.stack.enter_context(worker)

    def upload(self, name: str, picture: int = 0) -> str:
        """Put a photo, a different one for each `picture`; returns its reference."""
        file = io.BytesIO()
        Image.new("RGB", (320, 200), (picture % 256, picture // 256, 77)).save(file, "PNG")
        return self.put(name, file.getvalue())

    def put(self, name: str, body: bytes) -> str:
        self.s3.client.put_object(Bucket=BUCKET, Key=name, Body=body)
        return f"s3://{BUCKET}/{name}"

    def stored(self, job_id: str) -> dict[str, Any]:
        """The result object in S3."""
        answer = self.s3.client.get_object(Bucket=BUCKET, Key=f"hmt-pass/{job_id}.json")
        document: dict[str, Any] = json.loads(answer["Body"].read())
        return document

    def wait(self, *job_ids: str, timeout_s: float = 30.0) -> list[State]:
        """The final states of the jobs."""
        return [self.producer.wait(job_id, timeout_s).state for job_id in job_ids]

    def until(self, happened: Callable[[], object], timeout_s: float = 20.0) -> None:
        assert until(lambda: bool(happened()), timeout_s), "it did not happen in time"

    def command(self, *arguments: str, **settings: object) -> Any:  # noqa: ANN401  JSON, of a shape that the test knows
        """`python -m worker ... --json` as an operator types it."""
        done = subprocess.run(
            [sys.executable, "-m", "worker", *arguments, "--json"],
            cwd=CHECKOUT,
            env={**clean_environment(), **self.environment, **_variables(settings)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return json.loads(done.stdout)

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self.folder.glob("*.log"))


def _variables(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"HMT_PASS_{name.upper()}": str(value) for name, value in settings.items()}


class LoggedWorker(Worker):
    """A worker that is ready when its log says so: a ping takes as long as the other tests that run let it."""

    def ready(self) -> bool:
        return " ready." in self.log.read_text()


@pytest.fixture
def system(redis: RedisServer, broker: Broker, s3: S3Server, books: Books, tmp_path: Path) -> Iterator[System]:
    environment = {
        **s3.client_environment,
        "REDIS_URL": redis.url,
        "BROKER_URL": broker.url,
        "HMT_PASS_API_ID": "id",
        "HMT_PASS_API_SECRET": "a-secret-of-nobody",
        "HMT_PASS_ENDPOINT_URL": books.url,
        "HMT_PASS_RETRY_BASE_S": "0.2",
        "HMT_PASS_CONCURRENCY": "4",
    }
    with ExitStack() as stack:
        yield System(redis, broker, s3, books, tmp_path, environment, stack)
