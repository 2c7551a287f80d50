import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from chaos.brokers import HeldByRedis
from chaos.nursery import Nursery
from chaos.options import REPORT
from chaos.photos import Photos
from chaos.scripted import Scripted
from chaos.world import HASTY, World

from hmt_pass.store import connect
from local.redis import RedisServer
from local.s3 import S3Server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "broker" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--chaos-broker")
        metafunc.parametrize("broker", ["redis", "rabbitmq"] if chosen == "both" else [chosen])


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery") / "nursery.log") as nursery:
        yield nursery


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with Scripted(tmp_path_factory.mktemp("endpoint") / "endpoint.log") as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def photos(s3: S3Server) -> Photos:
    return Photos(s3)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The test's own, so that it can be repeated alone."""
    return random.Random(f"{request.config.stash[REPORT].seed} {request.node.name}").randrange(2**31)


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    broker: str,
    seed: int,
    s3: S3Server,
    endpoint: Scripted,
    nursery: Nursery,
    photos: Photos,
    tmp_path: Path,
) -> Iterator[World]:
    if broker == "rabbitmq":
        pytest.skip("not yet")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(tmp_path / "redis"))
        environment = {
            **s3.client_environment,
            "REDIS_URL": redis.url,
            "BROKER_URL": redis.url,
            "HMT_PASS_API_ID": "id",
            "HMT_PASS_API_SECRET": "a-secret-of-nobody",
            "HMT_PASS_ENDPOINT_URL": endpoint.url,
            **{f"HMT_PASS_{name}": value for name, value in HASTY.items()},
        }
        config = request.config
        yield World(
            broker=broker,
            full=config.getoption("--chaos") == "full",
            seed=seed,
            report=config.stash[REPORT],
            redis=redis,
            held=HeldByRedis(stack.enter_context(connect(redis.url))),
            s3=s3,
            endpoint=endpoint,
            nursery=nursery,
            photos=photos,
            folder=tmp_path,
            environment=environment,
            stack=stack,
        )
