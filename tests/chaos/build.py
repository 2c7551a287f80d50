"""Builds the world of one test out of what the session shares."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from chaos.gate import G, Gate, S3Gate, raise_gate
from chaos.held import HeldByRabbit, HeldByRedis
from chaos.nursery import Nursery
from chaos.photos import Photos
from chaos.report import Report
from chaos.scripted import Scripted
from chaos.world import World

from hmt_pass.store import connect
from local.rabbitmq import RabbitServer
from local.redis import RedisServer
from local.s3 import S3Server

# A job may take 2 s at the endpoint and a second at S3; a dead worker's jobs are back after a few.
HASTY = {
    "CONCURRENCY": "8",
    "CONNECT_TIMEOUT_S": "1",
    "TOTAL_TIMEOUT_S": "2",
    "STORAGE_TIMEOUT_S": "1",
    "RETRY_BASE_S": "0.2",
    "RETRY_CAP_S": "1",
}


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tests of a session use, one after the other."""

    s3: S3Server
    endpoint: Scripted
    nursery: Nursery
    photos: Photos
    loop: asyncio.AbstractEventLoop
    rabbit: Callable[[], RabbitServer]


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds the world of one test; `redis_options` are the server's command line, after its configuration file."""

    shared: Shared
    broker: str
    full: bool
    seed: int
    report: Report
    folder: Path
    stack: ExitStack

    def __call__(self, *, gated: bool = False, own_broker: bool = False, redis_options: tuple[str, ...] = ()) -> World:
        """Direct ways, or gates in front of Redis, RabbitMQ and S3; `own_broker` gives the broker its own Redis."""
        redis = self._redis("redis", () if own_broker else redis_options)
        broker_redis = self._redis("broker", redis_options) if own_broker and self.broker == "redis" else None
        redis_gate = self._gate(Gate, redis.port) if gated else None
        s3_gate = self._gate(S3Gate, self.shared.s3.port) if gated else None
        redis_url = _through(redis.url, redis.port, redis_gate)
        rabbit = self.shared.rabbit() if self.broker == "rabbitmq" else None
        rabbit_gate = self._gate(Gate, rabbit.port) if gated and rabbit else None
        broker_url = broker_redis.url if broker_redis else redis_url
        if rabbit:
            broker_url = _through(rabbit.url, rabbit.port, rabbit_gate)
        store = self.stack.enter_context(connect(redis.url))
        held = (
            HeldByRabbit(rabbit.url, store)
            if rabbit
            else HeldByRedis(self.stack.enter_context(connect(broker_redis.url)) if broker_redis else store)
        )
        if isinstance(held, HeldByRabbit):
            self.stack.callback(held.empty)
        s3_variables = dict(self.shared.s3.client_environment)
        s3_variables["AWS_ENDPOINT_URL_S3"] = _through(self.shared.s3.url, self.shared.s3.port, s3_gate)
        return World(
            broker=self.broker,
            full=self.full,
            seed=self.seed,
            report=self.report,
            redis=redis,
            broker_redis=broker_redis or redis,
            store=store,
            held=held,
            rabbit=rabbit,
            s3=self.shared.s3,
            endpoint=self.shared.endpoint,
            nursery=self.shared.nursery,
            photos=self.shared.photos,
            folder=self.folder,
            environment=self._environment(redis_url, broker_url, s3_variables),
            stack=self.stack,
            redis_gate=redis_gate,
            rabbit_gate=rabbit_gate,
            s3_gate=s3_gate,
        )

    def _gate(self, kind: type[G], port: int) -> G:
        gate = raise_gate(kind, self.shared.loop, port)
        self.stack.callback(gate.close)
        return gate

    def _redis(self, name: str, options: tuple[str, ...]) -> RedisServer:
        server = RedisServer(self.folder / name)
        server.command = (*server.command, *options)
        return self.stack.enter_context(server)

    def _environment(self, redis_url: str, broker_url: str, s3_variables: dict[str, str]) -> dict[str, str]:
        return {
            **s3_variables,
            "REDIS_URL": redis_url,
            "BROKER_URL": broker_url,
            "HMT_PASS_API_ID": "id",
            "HMT_PASS_API_SECRET": "a-secret-of-nobody",
            "HMT_PASS_ENDPOINT_URL": self.shared.endpoint.url,
            **{f"HMT_PASS_{name}": value for name, value in HASTY.items()},
            "HMT_PASS_VISIBILITY_TIMEOUT_S": "5" if self.full else "3",
        }


def _through(url: str, port: int, gate: Gate | None) -> str:
    return url.replace(f":{port}", f":{gate.port}") if gate else url
