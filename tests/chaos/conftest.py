import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from chaos.build import Builder, Shared
from chaos.gate import gates
from chaos.nursery import Nursery
from chaos.options import REPORT
from chaos.photos import Photos
from chaos.scripted import Scripted
from chaos.world import World

from hmt_pass.errors import SettingsError
from local.rabbitmq import RabbitServer, find_server
from local.s3 import S3Server

LONGEST_S = 600


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "chaos_broker" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--chaos-broker")
        brokers = ["redis", "rabbitmq"] if chosen == "both" else [chosen]
        only = metafunc.definition.get_closest_marker("chaos_broker")
        known = [broker for broker in brokers if not only or broker == only.args[0]]
        metafunc.parametrize("chaos_broker", known, scope="session")


def pytest_itemcollected(item: pytest.Item) -> None:
    """In the short form, faults that have nothing to do with the broker are tried on Redis alone."""
    is_soak = item.get_closest_marker("chaos_soak") is not None
    item.add_marker(pytest.mark.timeout(LONGEST_S + is_soak * (LONGEST_S + item.config.getoption("--chaos-soak-s"))))
    parameters = getattr(item, "callspec", None)
    is_rabbit = parameters is not None and parameters.params.get("chaos_broker") == "rabbitmq"
    if is_rabbit and item.get_closest_marker("chaos_any_broker"):
        item.add_marker("chaos_full")


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery") / "nursery.log") as nursery:
        yield nursery


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with Scripted(tmp_path_factory.mktemp("endpoint") / "endpoint.log") as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with gates() as loop:
        yield loop


@pytest.fixture(scope="session")
def shared(
    s3: S3Server,
    endpoint: Scripted,
    nursery: Nursery,
    loop: asyncio.AbstractEventLoop,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shared]:
    with ExitStack() as stack:

        @cache
        def rabbit() -> RabbitServer:
            return stack.enter_context(RabbitServer(tmp_path_factory.mktemp("rabbitmq")))

        yield Shared(s3, endpoint, nursery, Photos(s3), loop, rabbit)


@pytest.fixture
def build(request: pytest.FixtureRequest, chaos_broker: str, shared: Shared, tmp_path: Path) -> Iterator[Builder]:
    if chaos_broker == "rabbitmq":
        _skip_without_rabbitmq()
    config = request.config
    report = config.stash[REPORT]
    # Of the test's own, so that it can be repeated alone.
    seed = random.Random(f"{report.seed} {request.node.name}").randrange(2**31)
    with ExitStack() as stack:
        yield Builder(shared, chaos_broker, config.getoption("--chaos") != "short", seed, report, tmp_path, stack)


@pytest.fixture
def world(build: Builder) -> World:
    return build()


def _skip_without_rabbitmq() -> None:
    try:
        find_server()
    except SettingsError as error:
        pytest.skip(str(error))
