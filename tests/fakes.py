"""What a worker connects to, without a network: storage, endpoint and Redis in memory, and a way to run one job.

tests/contract holds FakeStorage and the fake Store to what the real ones do.
"""

import hashlib
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import fakeredis
import pytest
import redis
from celery.app.trace import build_tracer
from celery.exceptions import Reject, Retry
from celery.signals import task_postrun, task_prerun
from PIL import Image
from pydantic import SecretStr

from hmt_pass import keys
from hmt_pass.codes import Code
from hmt_pass.errors import (
    DocumentError,
    HmtPassError,
    ImageRejectedError,
    ObjectChangedError,
    ObjectMissingError,
    StorageError,
)
from hmt_pass.job import ImageRef, Job
from hmt_pass.permit import Reply
from hmt_pass.producer import Producer
from hmt_pass.status import Status
from hmt_pass.store import Store
from tasks.recognize import recognize
from worker.archive import Archive
from worker.bookings import Bookings
from worker.calls import Calls
from worker.celery import app
from worker.claims import Claims
from worker.dead_letters import DeadLetters
from worker.delayed import Delayed
from worker.documents import Document
from worker.envelope import TaskMessage
from worker.hold import Hold
from worker.leases import Leases
from worker.ledger import Ledger
from worker.limits import Limits
from worker.outcomes import DeadLetteredError
from worker.queues import RedisQueues
from worker.redrives import Redrives
from worker.redriving import Redriving
from worker.registry import Registry
from worker.retry import RetryPolicy
from worker.sending import Sender
from worker.services import Services
from worker.settings import Settings
from worker.spend import Spend
from worker.storage import MAX_DOCUMENT_BYTES, MAX_TEXT_BYTES, Photo, decoded, parsed
from worker.wanted import Wanted

BUCKET = "photos"
PROCESS = "a-host:1:a-process"
VERSIONED = "versioned-photos"
API_SECRET = "the-secret-of-the-account"
PERMIT = {
    "address": "黑龙江",
    "birthday": "19880229",
    "cardNum": "C98765432",
    "nameChn": "欧阳试样",
    "nameEng": "OUYANG,SHIYANG",
    "sex": "女",
    "validDate": "20190118-20290117",
}
Answer = Reply | BaseException | Callable[[], Reply]
_NUMBERS = itertools.count(1)


def jpeg(content: str = "a photo", size_px: tuple[int, int] = (64, 40)) -> bytes:
    """A small JPEG that the endpoint takes as it is; another `content` gives other bytes."""
    file = io.BytesIO()
    Image.new("RGB", size_px, tuple(hashlib.sha256(content.encode()).digest()[:3])).save(file, "JPEG")
    return file.getvalue()


def reply(code: str = "0000", *, data: object = PERMIT, **more: object) -> Reply:
    """An answer of the endpoint, shaped as in the API text's examples."""
    paid = code == Code.OK.value
    body = {"code": code, "msg": "a message", "charge": 1 if paid else 2, "request_id": f"TID-{code}"}
    return Reply.from_wire({**body, **({"data": data} if paid else {}), **more})


class FakeClient:
    """Answers by its script, one entry a call, then always with a permit. Keeps the calls and counts the charges."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.calls: list[dict[str, Any]] = []
        self.charges = 0

    def recognize(self, image: bytes | None = None, **options: object) -> Reply:
        """The next entry: a reply is given, an exception is raised, a function is called."""
        self.calls.append({"image": image, **options})
        entry = self.script.pop(0) if self.script else reply()
        if isinstance(entry, BaseException):
            raise entry
        answer = entry if isinstance(entry, Reply) else entry()
        self.charges += answer.charged
        return answer


@dataclass(frozen=True, slots=True)
class _Object:
    body: bytes
    version_id: str | None

    @property
    def etag(self) -> str:
        return hashlib.md5(self.body).hexdigest()


class FakeStorage:
    """worker.storage.Storage in memory. What stands in `get_error` or `put_error` is raised instead of an answer."""

    def __init__(self, buckets: Iterable[str] = (BUCKET, "results"), versioned: Iterable[str] = ()) -> None:
        self.buckets = set(buckets)
        self.versioned = set(versioned)
        self.objects: dict[tuple[str, str], list[_Object]] = {}
        self.get_error: HmtPassError | None = None
        self.put_error: HmtPassError | None = None
        self.credentials = True

    def put(self, bucket: str, key: str, body: bytes) -> str:
        """Write an object as an uploader does; returns its etag."""
        self.check(bucket)
        versions = self.objects.setdefault((bucket, key), [])
        if bucket not in self.versioned:
            versions.clear()
        versions.append(_Object(body, f"v{len(versions) + 1}" if bucket in self.versioned else None))
        return versions[-1].etag

    def get(self, image: ImageRef, max_bytes: int, etag: str | None = None) -> Photo:
        if self.get_error:
            raise self.get_error
        found = self._find(image)
        if etag and etag != found.etag:
            raise ObjectChangedError(str(image))
        if len(found.body) > max_bytes:
            raise ImageRejectedError(Code.IMAGE_TOO_LARGE, f"the object is over {max_bytes} bytes")
        return Photo(image, found.body, hashlib.sha256(found.body).hexdigest(), found.etag, found.version_id)

    def presign(self, image: ImageRef) -> str:
        version = f"versionId={image.version_id}&" if image.version_id else ""
        return f"https://s3.example/{image.bucket}/{image.key}?{version}X-Amz-Signature=0123456789abcdef"

    def put_json(self, bucket: str, key: str, document: Mapping[str, Any]) -> str:
        return self.put_lines(bucket, key, json.dumps(document, ensure_ascii=False))

    def put_lines(self, bucket: str, key: str, text: str) -> str:
        if self.put_error:
            raise self.put_error
        if bucket not in self.buckets:
            raise StorageError(f"s3://{bucket}")
        self.put(bucket, key, text.encode(errors="backslashreplace"))
        return f"s3://{bucket}/{key}"

    def get_text(self, bucket: str, key: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
        body = self.get(ImageRef(bucket, key), sys.maxsize).body
        if len(body) > max_bytes:
            raise DocumentError(f"s3://{bucket}/{key}: it is over {max_bytes} bytes")
        return decoded(body, f"s3://{bucket}/{key}")

    def keys(self, bucket: str, prefix: str, after: str = "") -> Iterator[str]:
        names = sorted(key for held, key in self.objects if held == bucket)
        return (key for key in names if key.startswith(prefix) and key > after)

    def check_image(self, image: ImageRef, etag: str | None = None) -> None:
        self.get(image, sys.maxsize, etag)

    def get_json(self, address: str, max_bytes: int = MAX_DOCUMENT_BYTES) -> dict[str, Any]:
        image = ImageRef.parse(address)
        return parsed(self.get_text(image.bucket, image.key, max_bytes), address)

    def has_credentials(self) -> bool:
        return self.credentials

    def check(self, bucket: str | None) -> None:
        if bucket is not None and bucket not in self.buckets:
            raise ObjectMissingError(f"s3://{bucket}")

    def _find(self, image: ImageRef) -> _Object:
        versions = self.objects.get((image.bucket, image.key), [])
        wanted = [item for item in versions if image.version_id in {None, item.version_id}]
        if not wanted:
            raise ObjectMissingError(str(image))
        return wanted[-1]


@dataclass(frozen=True, slots=True)
class S3:
    """A storage, fake or real, and an uploader's way into the same buckets: `upload(bucket, key, body) -> etag`."""

    storage: Any
    upload: Callable[[str, str, bytes], str]


def fake_store(server: fakeredis.FakeServer | None = None) -> Store:
    """hmt_pass.store.Store over a Redis in memory; `server.connected = False` is its outage."""
    pool = redis.ConnectionPool(
        connection_class=fakeredis.FakeRedisConnection,
        server=server or fakeredis.FakeServer(server_type="redis"),
        decode_responses=True,
        host="fake",
        version=(7,),
    )
    return Store(connection_pool=pool)


def fake_settings(**changes: object) -> Settings:
    """The defaults, with nothing from the environment; for everything but the tests of Settings itself."""
    values: dict[str, Any] = {"api_id": "an-id", "api_secret": SecretStr(API_SECRET), **changes}
    return Settings.model_construct(**values)


def fake_services(store: Store, storage: FakeStorage, client: FakeClient, **settings: object) -> Services:
    """The worker's services with the outer world replaced."""
    chosen = fake_settings(**settings)
    leases = Leases(store, chosen.visibility_timeout_s, chosen.deadline_s)
    queues, delayed = RedisQueues(store), Delayed(store)
    limits = Limits.of(chosen)
    spend = Spend(store, limits, chosen.price_per_call, chosen.budget_day, chosen.budget_month)
    archive = Archive(cast("Any", storage), chosen.archive, chosen.archive_prefix)
    return Services(
        settings=chosen,
        worker="a-host:1",
        store=store,
        leases=leases,
        claims=Claims(store, leases, limits, worker="a-host:1", process=PROCESS),
        calls=Calls(store, leases, limits, worker="a-host:1", process=PROCESS, receipt_ttl_s=60, sleep=lambda _: None),
        hold=Hold(store, limits, PROCESS),
        spend=spend,
        ledger=Ledger(store, archive, spend),
        bookings=Bookings(store, chosen.visibility_timeout_s, chosen.deadline_s),
        queues=queues,
        delayed=delayed,
        registry=Registry(store, queues, delayed, chosen.visibility_timeout_s),
        dead_letters=DeadLetters(store),
        storage=cast("Any", storage),
        archive=archive,
        sender=Sender(chosen.send, cast("Any", storage)),
        client=cast("Any", client),
        retry=RetryPolicy(chosen.max_attempts, chosen.retry_base_s, chosen.retry_cap_s, chosen.max_age_s),
    )


def message_of(job: Job, **headers: object) -> TaskMessage:
    """The task message that a producer writes for the job."""
    body = json.dumps([[], job.kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    known = {"id": job.job_id, "task": "hmt_pass.recognize", "lang": "py", "argsrepr": "()"}
    return TaskMessage({**known, **headers}, body.encode(), "application/json", "utf-8", job.lane.queue)


@dataclass(frozen=True, slots=True)
class Run:
    """How one run of the task ended for celery: what it returned, or what it raised."""

    returned: dict[str, Any] | None = None
    raised: BaseException | None = None

    @property
    def end(self) -> str:
        """done, delayed, requeued or dead; dropped is what must never be."""
        if isinstance(self.raised, Reject) and not vars(self.raised)["requeue"]:
            return "dropped"
        names = {type(None): "done", Retry: "delayed", Reject: "requeued", DeadLetteredError: "dead"}
        return names[type(self.raised)]


def run_task(message: TaskMessage, job_id: object) -> Run:
    """Deliver one message to the task, as a worker's thread would."""
    args, kwargs, _ = json.loads(message.body)
    about = {"task_id": job_id, "task": recognize, "args": args, "kwargs": kwargs}
    recognize.push_request(id=job_id, task_message=message.to_json(), args=args, kwargs=kwargs)
    task_prerun.send(sender=recognize, **about)
    run = Run()
    try:
        run = Run(returned=recognize.run(*args, **kwargs))
    except (Reject, Retry, DeadLetteredError) as raised:
        run = Run(raised=raised)
    finally:
        task_postrun.send(sender=recognize, **about, retval=run.raised or run.returned)
        recognize.pop_request()
    return run


def trace_task(job: Job) -> None:
    """Deliver the job's message as a thread of the pool or a child of it does: in celery's own tracer."""
    message = message_of(job)
    args, kwargs, _ = json.loads(message.body)
    request = {"id": job.job_id, "task_message": message.to_json(), "delivery_info": {}, "hostname": "w@host"}
    build_tracer(recognize.name, recognize, app=app)(job.job_id, args, kwargs, request)


@dataclass
class World:
    """One account, one bucket, one Redis and one worker. `job()` uploads a photo, `run()` delivers its message."""

    services: Services
    storage: FakeStorage
    client: FakeClient
    server: fakeredis.FakeServer
    runs: list[Run] = field(default_factory=list)

    @classmethod
    def create(cls, monkeypatch: pytest.MonkeyPatch, **settings: object) -> "World":
        """A world whose services are those of every task and command in this process until the test ends."""
        server = fakeredis.FakeServer(server_type="redis")
        storage, client = FakeStorage(), FakeClient()
        services = fake_services(fake_store(server), storage, client, **settings)
        for module in ("task", "unreadable", "poison", "transport"):
            monkeypatch.setattr(f"worker.{module}.services", lambda: services)
        monkeypatch.setattr("worker.settling.GIVE_BACK_PAUSE_S", 0)
        monkeypatch.setattr("worker.results.RECEIPT_PAUSE_S", 0)
        monkeypatch.setattr("hmt_pass.producer.connect", lambda *_: services.store)
        return cls(services, storage, client, server)

    @property
    def store(self) -> Store:
        """The Redis of everything."""
        return self.services.store

    @property
    def producer(self) -> Producer:
        """A web app's producer on the same Redis, with a broker in memory."""
        return Producer("redis://fake", "memory://")

    def job(self, content: str = "a photo", *, key: str = "a.jpg", **options: Any) -> Job:  # noqa: ANN401  Job.create's
        """A photo in the bucket and the job for it."""
        self.storage.put(BUCKET, key, jpeg(content))
        return Job.create(f"s3://{BUCKET}/{key}", **options)

    def run(self, job: Job) -> Run:
        """One delivery of the job's message."""
        return run_task(message_of(job), job.job_id)

    def script(self, *answers: Answer) -> None:
        """What the endpoint answers to the next calls."""
        self.client.script = list(answers)

    def status(self, job: Job) -> Status:
        """Where the job stands, as a web app sees it."""
        return Status.from_store(job.job_id, self.fields(job), on_hold=self.services.hold.is_on())

    def fields(self, job: Job) -> dict[str, str]:
        """The job's hash."""
        return self.services.claims.fields(job.job_id)

    def result(self, job: Job) -> Document | None:
        """The result document in Redis."""
        text = self.store.get(keys.result(job.job_id))
        return json.loads(text) if text else None

    def stored(self, job: Job) -> Document:
        """The result document in S3."""
        return self.storage.get_json(f"s3://{BUCKET}/hmt-pass/{job.job_id}.json")

    def is_delayed(self, job: Job) -> bool:
        """Whether the job's message waits for its time."""
        return self.services.delayed.due_at(job.job_id) is not None

    def redrive(self, *job_ids: str) -> int:
        """Move dead letters back, as an operator does; returns how many."""
        letters, name = self.services.dead_letters, f"redrive-{next(_NUMBERS)}"
        chosen = [letter for letter, _ in letters.select(Wanted(job_ids=job_ids))]
        Redrives(letters.store).keep(name, chosen, "ann", {})
        return Redriving(self.services, "ann", sleep=lambda _: None).run(name)

    def let_the_claim_expire(self, job: Job) -> None:
        """What the time does to a claim whose worker died."""
        self.store.delete(keys.claim(job.job_id))
