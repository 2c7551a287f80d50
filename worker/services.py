"""The composition root: everything a task uses, built once a process from the settings, connected on first use."""

import os
import socket
import threading
from dataclasses import dataclass

from hmt_pass.client import Client
from hmt_pass.errors import SettingsError
from hmt_pass.queues import is_rabbit
from hmt_pass.rabbit import Rabbit
from hmt_pass.store import Store, connect
from worker import process
from worker.allocator import give_back_large_blocks
from worker.archive import Archive
from worker.bookings import Bookings
from worker.broker import Delays, Queues
from worker.calls import Calls
from worker.claims import Claims
from worker.dead_letters import DeadLetters
from worker.delayed import Delayed
from worker.hold import Hold
from worker.leases import Leases
from worker.ledger import Ledger
from worker.limits import Limits
from worker.queues import RedisQueues
from worker.rabbitmq.dead_letters import RabbitDeadLetters
from worker.rabbitmq.delays import RabbitDelays
from worker.rabbitmq.queues import RabbitQueues
from worker.registry import Registry
from worker.retry import RetryPolicy
from worker.sending import Sender
from worker.settings import Settings
from worker.spend import Spend
from worker.storage import Storage


@dataclass(frozen=True, slots=True)
class Services:
    """What a worker works with."""

    settings: Settings
    worker: str
    store: Store
    leases: Leases
    claims: Claims
    calls: Calls
    hold: Hold
    spend: Spend
    ledger: Ledger
    bookings: Bookings | None
    queues: Queues
    delayed: Delays
    registry: Registry
    dead_letters: DeadLetters | RabbitDeadLetters
    storage: Storage
    archive: Archive
    sender: Sender
    client: Client
    retry: RetryPolicy

    @property
    def booked(self) -> Bookings:
        """The bookings of a worker whose broker is Redis. Raises SettingsError where the broker keeps its own."""
        if self.bookings is None:
            raise SettingsError("this transport is for Redis; BROKER_URL names another broker")
        return self.bookings


@dataclass(frozen=True, slots=True)
class _Broker:
    queues: Queues
    delayed: Delays
    dead_letters: DeadLetters | RabbitDeadLetters
    bookings: Bookings | None = None


def _on_redis(settings: Settings) -> _Broker:
    broker = connect(settings.broker)
    bookings = Bookings(broker, settings.visibility_timeout_s, settings.deadline_s)
    return _Broker(RedisQueues(broker), Delayed(broker), DeadLetters(broker), bookings)


def _on_rabbit(url: str, store: Store, claims: Claims) -> _Broker:
    rabbit = Rabbit(url)
    queues = RabbitQueues(rabbit, url)
    return _Broker(queues, RabbitDelays(rabbit, url, store), RabbitDeadLetters(rabbit, queues, store, claims.died))


def build(settings: Settings) -> Services:
    """Everything, wired. Opens no connection."""
    give_back_large_blocks()
    worker = f"{socket.gethostname()}:{os.getpid()}"
    store = connect(settings.redis)
    leases = Leases(store, settings.visibility_timeout_s, settings.deadline_s)
    limits, name = Limits.of(settings), process.name()
    claims = Claims(store, leases, limits, worker=worker, process=name)
    receipt_ttl_s = settings.status_ttl_s + int(settings.max_age_s)
    broker = _on_rabbit(settings.broker, store, claims) if is_rabbit(settings.broker) else _on_redis(settings)
    storage = Storage(settings.storage_timeout_s, settings.concurrency)
    archive = Archive(storage, settings.archive, settings.archive_prefix)
    spend = Spend(store, limits, settings.price_per_call, settings.budget_day, settings.budget_month)
    return Services(
        settings=settings,
        worker=worker,
        store=store,
        leases=leases,
        claims=claims,
        calls=Calls(store, leases, limits, worker=worker, process=name, receipt_ttl_s=receipt_ttl_s),
        hold=Hold(store, limits, name),
        spend=spend,
        ledger=Ledger(store, archive, spend),
        bookings=broker.bookings,
        queues=broker.queues,
        delayed=broker.delayed,
        registry=Registry(store, broker.queues, broker.delayed, settings.visibility_timeout_s),
        dead_letters=broker.dead_letters,
        storage=storage,
        archive=archive,
        sender=Sender(settings.send, storage),
        client=Client(
            settings.api_id,
            settings.api_secret.get_secret_value(),
            settings.endpoint_url,
            timestamp_unit=settings.timestamp_unit,
            connect_timeout_s=settings.connect_timeout_s,
            read_timeout_s=settings.read_timeout_s,
            total_timeout_s=settings.total_timeout_s,
        ),
        retry=RetryPolicy(settings.max_attempts, settings.retry_base_s, settings.retry_cap_s, settings.max_age_s),
    )


_built: dict[int, Services] = {}
_lock = threading.Lock()


def services() -> Services:
    """This process's services; a forked child builds its own, because a connection must not be shared."""
    with _lock:
        pid = os.getpid()
        if pid not in _built:
            _built.clear()
            _built[pid] = build(Settings.load())
        return _built[pid]
