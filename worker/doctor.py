"""The checks of `python -m worker doctor`. Each looks at one thing and says what to do when it is not right."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from hmt_pass import codes
from hmt_pass.codes import Disposition
from hmt_pass.errors import CallError, HmtPassError, SettingsError, StoreError
from hmt_pass.store import Store
from worker.dead_letters import DeadLetters
from worker.rabbitmq.dead_letters import RabbitDeadLetters
from worker.services import Services, build
from worker.settings import Settings

OLDEST_REDIS = (6, 2)
OLDEST_RABBITMQ = (3, 10)
CLOCK_TOLERANCE_S = 30.0
FULL_SHARE = 0.9  # of maxmemory
NO_IMAGE_ID = "0" * 32  # an image that cannot exist: the call is answered 1014 and, as the API text says, not charged


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and the cure when it is not ok."""

    subject: str
    ok: bool
    text: str
    cure: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)


def examine() -> list[Finding]:
    """All findings, in the order of a job's way. Never raises."""
    try:
        services = build(Settings.load())
    except SettingsError as error:
        return [Finding("settings", ok=False, text=str(error), cure="set them; .env.example explains each")]
    findings = [Finding("settings", ok=True, text="complete and consistent")]
    for check in (_redis, _broker, _clock, _storage, _archive, _endpoint):
        findings += _run(check, services)
    return findings


def _run(check: Callable[[Services], Iterator[Finding]], services: Services) -> Iterator[Finding]:
    subject = check.__name__.strip("_")
    try:
        yield from check(services)
    except HmtPassError as error:
        yield Finding(subject, ok=False, text=str(error), cure="check address, credentials and network")


def _redis(services: Services) -> Iterator[Finding]:
    yield from _server("redis", services.store)


def _broker(services: Services) -> Iterator[Finding]:
    letters = services.dead_letters
    yield from _server("broker", letters.store) if isinstance(letters, DeadLetters) else _rabbit(letters)


def _rabbit(letters: RabbitDeadLetters) -> Iterator[Finding]:
    version = letters.rabbit.version()
    cure = "use RabbitMQ 3.10 or newer: delays and dead letters rest on its quorum queues"
    yield Finding(
        "broker", ok=_is_from(version, OLDEST_RABBITMQ), text=f"RabbitMQ answers, version {version}", cure=cure
    )
    letters.declare()
    yield Finding("broker", ok=True, text="its quorum queues are there and are as they should be")


def _server(subject: str, store: Store) -> Iterator[Finding]:
    info: dict[str, Any] = store.info()
    version = str(info["redis_version"])
    yield Finding(
        subject,
        ok=_is_from(version, OLDEST_REDIS),
        text=f"answers, version {version}",
        cure="use Redis 6.2 or newer, or Valkey",
    )
    policy = str(info["maxmemory_policy"])
    cure = "set maxmemory-policy noeviction: any other silently deletes queued jobs when memory is short"
    yield Finding(subject, ok=policy == "noeviction", text=f"maxmemory-policy {policy}", cure=cure)
    yield _memory(subject, info["used_memory"], info["maxmemory"])
    if not info["aof_enabled"]:
        cure = "set appendonly yes: without it a restart loses up to everything"
        yield Finding(subject, ok=False, text="append-only file off", cure=cure)
        return
    sync = _sync(store)
    cure = "set appendfsync always: else a job may be answered with an id and be gone when Redis or its machine dies"
    text = f"append-only file on, appendfsync {sync or 'unknown: this Redis refuses CONFIG GET'}"
    yield Finding(subject, ok=sync in {"always", None}, text=text, cure=cure)


def _memory(subject: str, used: int, most: int) -> Finding:
    """A full Redis answers this like every question, and refuses every enqueue and every paid reply."""
    used_mb, most_mb = round(used / 1e6), round(most / 1e6)
    text = f"{used_mb} of {most_mb} MB used" if most else f"{used_mb} MB used, maxmemory unlimited"
    cure = "raise maxmemory: a full Redis takes no job, and workers keep paid replies in memory until it takes them"
    return Finding(subject, ok=not most or used < most * FULL_SHARE, text=text, cure=cure)


def _sync(store: Store) -> str | None:
    """When the append-only file is synced; None where that cannot be asked, as with most managed services."""
    try:
        return str(store.config_get("appendfsync")["appendfsync"])
    except StoreError:
        return None


def _is_from(version: str, oldest: tuple[int, int]) -> bool:
    return tuple(int(part) for part in version.split(".")[:2]) >= oldest


def _clock(services: Services) -> Iterator[Finding]:
    seconds, microseconds = services.store.time()
    skew_s = time.time() - (seconds + microseconds / 1e6)
    cure = "synchronise the clock (NTP): a signature with a wrong timestamp is answered 1000"
    yield Finding("clock", ok=abs(skew_s) < CLOCK_TOLERANCE_S, text=f"{skew_s:+.1f} s against Redis", cure=cure)


def _storage(services: Services) -> Iterator[Finding]:
    bucket = services.settings.results_bucket
    services.storage.check(bucket)
    found = f"bucket {bucket} answers" if bucket else "S3 answers; results go to each image's bucket"
    yield Finding("storage", ok=services.storage.has_credentials(), text=found, cure="give AWS credentials")


def _archive(services: Services) -> Iterator[Finding]:
    bucket = services.settings.archive
    if bucket:
        services.storage.check(bucket)
    found = f"bucket {bucket} answers" if bucket else "no HMT_PASS_ARCHIVE_BUCKET: the ledger stays in Redis alone"
    yield Finding("archive", ok=True, text=found)


def _endpoint(services: Services) -> Iterator[Finding]:
    try:
        reply = services.client.recognize(image_id=NO_IMAGE_ID, sequence_id="doctor")
    except CallError as error:
        yield Finding("endpoint", ok=False, text=str(error), cure="check HMT_PASS_ENDPOINT_URL and the network")
        return
    ok = reply.disposition is Disposition.REJECT
    text = f"answers {reply.code}, {codes.meaning(reply.code)}"
    proof = ": account and signature are right" if ok else ""
    yield Finding("endpoint", ok=ok, text=text + proof, cure="docs/operations.md says what to do about each code")
