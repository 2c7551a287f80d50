"""The world that two workers share, with its states kept and put back, and the memory of what was tried already.

Worker states are a tree: a node is a worker after a row of answers. States of the world are numbered. What a step does
depends on the two alone, so each pair is tried once, however many schedules lead to it.
"""

import datetime as dt
import hashlib
import pickle
import random
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
from fakeredis import _core
from fakes import BUCKET, FakeClient, FakeStorage, Run, fake_services, fake_store, jpeg, message_of, run_task
from steps import Answer, Charge, Gate, Step, SteppedClient, SteppedStorage, SteppedStore, Stopped

from hmt_pass import keys
from hmt_pass.errors import HmtPassError
from hmt_pass.job import Job
from hmt_pass.producer import Producer
from worker.services import Services

EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
KEY = "a.jpg"
# The registry, which the reconciler reads and no worker does; the fleet's limits, which one job does not reach; books.
UNSEEN = (b"hmt_pass:open", b"hmt_pass:calls", b"hmt_pass:books")


@dataclass(frozen=True, slots=True)
class World:
    """One state of everything outside the workers: Redis as plain values, the S3 objects, the endpoint's books."""

    number: int
    redis: dict[str, Any]
    objects: dict[tuple[str, str], tuple[Any, ...]]
    books: tuple[Charge, ...]
    image: bytes = field(repr=False)  # what Redis is put back from


@dataclass(eq=False, slots=True)
class Node:
    """One delivery after a row of answers: it waits at `step`, or `run` says how the task ended."""

    delivery: int
    answers: tuple[Answer, ...] = ()
    step: Step | None = None
    run: Run | None = None
    after: dict[bytes, "Node"] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """The token of this delivery's claim; each delivery is a process of its own."""
        return _token(self.delivery)


class Stage:
    """One job, its photo and its message."""

    def __init__(self, **settings: object) -> None:
        self._settings = {"retry_base_s": 0.0, **settings}
        self._server = fakeredis.FakeServer(server_type="redis")
        self.store = fake_store(self._server)
        self._storage = FakeStorage()
        self._books: list[Charge] = []
        self._delivery = 0
        self._services: Services | None = None
        self._without_steps = fake_services(self.store, self._storage, FakeClient(), **self._settings)
        self._names = self._load_scripts()
        self._worlds: dict[bytes, World] = {}
        self._by_number: list[World] = []
        self._roots: dict[int, Node] = {}
        self._tried: dict[tuple[object, ...], tuple[int, Node]] = {}
        self.job = Job.create(f"s3://{BUCKET}/{KEY}")
        with self.in_force():
            self._producer = Producer("redis://fake", "memory://")
            self.upload("a photo")
            self.enqueue()
            self.start = self._snapshot()

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let the task run on this stage, with its clock and without dice, until the context ends."""
        with pytest.MonkeyPatch.context() as patch:
            self._make_deterministic(patch)
            patch.setattr("worker.task.services", lambda: self._services)
            patch.setattr("hmt_pass.producer.connect", lambda *_, **__: self.store)
            yield

    # ---- what the explorer asks for

    def world(self, number: int) -> World:
        return self._by_number[number]

    def delivered(self, delivery: int) -> Node:
        """A worker that has just been handed the message."""
        if delivery not in self._roots:
            self._roots[delivery] = self._run(delivery, ())
        return self._roots[delivery]

    def take(self, world: int, node: Node, lost: str = "") -> tuple[int, Node]:
        """The worker's next step: the world and the worker after it. `lost` is "", "request" or "answer"."""
        known = (world, node, lost)
        if known not in self._tried:
            self._put_back(world)
            answer = _answer(node.step, lost)
            after = self._snapshot()
            name = pickle.dumps((answer.value, repr(answer.error)))
            if name not in node.after:
                node.after[name] = self._run(node.delivery, (*node.answers, answer))
            self._tried[known] = after, node.after[name]
        return self._tried[known]

    def change(self, world: int, name: str, how: Callable[[], object]) -> int:
        """The world after something that no worker did."""
        known = (world, name)
        if known not in self._tried:
            self._put_back(world)
            how()
            self._tried[known] = self._snapshot(), self.delivered(1)
        return self._tried[known][0]

    def lapse(self, world: int, key: str) -> int:
        """A lease runs out."""
        return self.change(world, f"lapse {key}", lambda: self.store.delete(key))

    def come_due(self, world: int) -> int:
        """The delay is over and the message moves back; the queue itself is the explorer's."""
        return self.change(world, "due", self._come_due)

    def upload(self, content: str) -> None:
        self._storage.put(BUCKET, KEY, jpeg(content))

    def enqueue(self) -> None:
        self._producer.enqueue(str(self.job.image))

    # ---- how it is done

    def _run(self, delivery: int, answers: tuple[Answer, ...]) -> Node:
        """Run a worker from its start on the answers that it has had."""
        gate = Gate(answers)
        self._delivery = delivery
        store, storage = SteppedStore(self.store, gate, self._names), SteppedStorage(self._storage, gate)
        client = SteppedClient(self._books, gate, partial(self._has_leases, delivery))
        self._services = fake_services(store, storage, client, **self._settings)
        try:
            run = run_task(message_of(self.job), self.job.job_id)
        except Stopped:
            return Node(delivery, answers, step=gate.waiting)
        return Node(delivery, answers, run=run)

    def _has_leases(self, delivery: int, sha256: str) -> bool:
        """Whether the claim, and the lease on the content where there is one, are this delivery's."""
        names = [keys.claim(self.job.job_id)]
        if self._settings.get("dedupe_window_s") != 0:
            names.append(keys.content_claim(sha256, int(self.job.flag)))
        return {_token(delivery)} == set(map(self.store.get, names))

    def _come_due(self) -> None:
        self.store.zadd(keys.DELAYED, {self.job.job_id: 0}, xx=True)
        assert self._without_steps.delayed.move_due() == 1
        self.store.delete(self.job.lane.queue)

    def _snapshot(self) -> World:
        db = self._server.dbs[0]
        values = {key.decode(): _plain(item.value) for key, item in sorted(db.items()) if not key.startswith(UNSEEN)}
        lasting = [key for key, item in sorted(db.items()) if item.expireat is None]
        objects = {name: tuple(versions) for name, versions in self._storage.objects.items()}
        name = pickle.dumps((repr(values), lasting, sorted(objects.items()), sorted(self._books)))
        if name not in self._worlds:
            image = pickle.dumps({key: (item.value, item.expireat) for key, item in db.items()})
            self._worlds[name] = World(len(self._worlds), values, objects, tuple(sorted(self._books)), image)
            self._by_number.append(self._worlds[name])
        return self._worlds[name].number

    def _put_back(self, number: int) -> None:
        world, db = self._by_number[number], self._server.dbs[0]
        with self._server.lock:
            db.clear()
            for key, (value, expireat) in pickle.loads(world.image).items():
                db[key] = item = _core.Item(value)
                item.expireat = expireat
        self._storage.objects = {name: list(versions) for name, versions in world.objects.items()}
        self._books[:] = world.books

    def _make_deterministic(self, patch: pytest.MonkeyPatch) -> None:
        class Clock(dt.datetime):
            @classmethod
            def now(cls, tz: dt.tzinfo | None = None) -> "dt.datetime":
                del tz
                return EPOCH + dt.timedelta(seconds=self._delivery)

        still = SimpleNamespace(time=EPOCH.timestamp, monotonic=float, sleep=lambda _: None, strftime=time.strftime)
        doubles = {
            "datetime": (dt.datetime, Clock),
            "time": (time, still),
            "random": (random, SimpleNamespace(uniform=max)),
            "secrets": (secrets, SimpleNamespace(token_hex=lambda *_: f"token-{self._delivery}")),
            "uuid": (uuid, SimpleNamespace(uuid4=lambda: uuid.UUID(int=self._delivery))),
        }
        for module in _modules("worker", "hmt_pass.producer", "fakeredis"):
            for attribute, (real, double) in doubles.items():
                if vars(module).get(attribute) is real:
                    patch.setattr(module, attribute, double)

    def _load_scripts(self) -> dict[str, str]:
        """Every script of the worker into Redis, so that no run has to; its sha and its name."""
        names = {}
        for module in _modules("worker", "hmt_pass"):
            for name, text in vars(module).items():
                if isinstance(text, str) and "redis.call(" in text:
                    self.store.script_load(text)
                    place = "" if name.isupper() and name[0] != "_" else f"{module.__name__.rpartition('.')[2]}."
                    names[hashlib.sha1(text.encode()).hexdigest()] = f"{place}{name.strip('_')}"
        return names


def _token(delivery: int) -> str:
    return f"token-{delivery}.token-{delivery}"


def _modules(*prefixes: str) -> Iterator[Any]:
    for name, module in list(sys.modules.items()):
        if module and any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes):
            yield module


def _answer(step: Step | None, lost: str) -> Answer:
    assert step is not None
    if lost == "request":
        return Answer(error=step.lost)
    try:
        answer = Answer(step.perform())
    except HmtPassError as error:
        answer = Answer(error=error)
    return Answer(error=step.lost) if lost else answer


def _plain(value: Any) -> Any:  # noqa: ANN401  whatever Redis keeps
    """A value of Redis as strings, in an order of its own."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "items"):  # a hash, or a sorted set and its scores
        return {_plain(name): _plain(item) for name, item in sorted(value.items())}
    return value if isinstance(value, float) else sorted(map(_plain, value))
