"""What contract tests share: the fake that unit tests use beside the real thing, and a running endpoint."""

from collections.abc import Iterator

import pytest
from endpoints import PERMIT, Endpoint, running, website
from fakes import S3, VERSIONED, FakeStorage, fake_store
from sides import Side, on_rabbitmq, on_redis
from sites import PUBLIC, Serve

from hmt_pass.endpoint import addresses, download
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.store import Store, connect
from local.s3 import BUCKET, S3Server
from worker.storage import Storage

SIDES = ["fake", "real"]


@pytest.fixture(params=SIDES)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty Redis."""
    if request.param == "fake":
        yield fake_store()
        return
    with connect(request.getfixturevalue("redis").url) as store:
        yield store


@pytest.fixture(params=[*SIDES, "rabbitmq"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    """An empty broker: Redis in memory, a real one, RabbitMQ."""
    if request.param == "real":
        with connect(request.getfixturevalue("redis").url) as store:
            yield on_redis(store)
        return
    store = fake_store()
    yield on_redis(store) if request.param == "fake" else on_rabbitmq(request.getfixturevalue("rabbit"), store)


@pytest.fixture(scope="session")
def real_storage(s3: S3Server) -> Iterator[Storage]:
    """A Storage on moto's server, built once: boto3 takes 0.3 s to make a client."""
    s3.client.create_bucket(Bucket=VERSIONED)
    s3.client.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.client_environment.items():
            patch.setenv(name, value)
        yield Storage(5.0, 4)


@pytest.fixture(params=SIDES)
def s3_side(request: pytest.FixtureRequest) -> S3:
    if request.param == "fake":
        fake = FakeStorage({BUCKET, VERSIONED}, {VERSIONED})
        return S3(fake, fake.put)
    server = request.getfixturevalue("s3")

    def upload(bucket: str, key: str, body: bytes) -> str:
        etag: str = server.client.put_object(Bucket=bucket, Key=key, Body=body)["ETag"]
        return etag.strip('"')

    return S3(request.getfixturevalue("real_storage"), upload)


@pytest.fixture(scope="module")
def served() -> Iterator[Endpoint]:
    with running(faults=True) as started:
        yield started


@pytest.fixture
def endpoint(served: Endpoint) -> Endpoint:
    """The running endpoint without faults, with counters at zero and an engine that has seen nothing."""
    served.clear_faults()
    served.engine.found, served.engine.seen = Reading(Kind.HK_MACAU, PERMIT), []
    served.faults.calls = served.faults.charged = served.faults.struck = 0
    return served


@pytest.fixture
def web() -> Iterator[Serve]:
    with website() as serve:
        yield serve


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Sites at the one address that counts as public."""
    monkeypatch.setattr(addresses, "is_public", PUBLIC.__eq__)
    with website(PUBLIC) as serve:
        yield serve


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.2 s for a whole download."""
    monkeypatch.setattr(download, "TIME_LIMIT_S", 0.2)
