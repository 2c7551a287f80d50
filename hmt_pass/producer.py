"""Enqueue jobs and read what became of them, from a web app. Needs no worker code and no worker settings.

    from hmt_pass import producer

    job_id = producer.enqueue("s3://uploads/2026/permit.jpg", flag=0)
    producer.wait(job_id, timeout_s=30).state
    producer.result(job_id)

The functions use one Producer built from `REDIS_URL` and `BROKER_URL`; build a `Producer` yourself for anything else.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, TypedDict, Unpack

import celery

from hmt_pass import keys
from hmt_pass.errors import JobConflictError, NotEnqueuedError, StoreError
from hmt_pass.job import RECOGNIZE, Job
from hmt_pass.publishers import Publishers
from hmt_pass.queues import is_rabbit, work_queues
from hmt_pass.rabbit import Rabbit
from hmt_pass.status import Status
from hmt_pass.store import connect

# An enqueue gives up after about 8 s, so that an upload handler answers while its user still waits: 2 s for the state,
# and three tries of 1.5 s to publish.
STATE_TIMEOUT_S = 2.0
PUBLISH_RETRY = {"max_retries": 2, "interval_start": 0.2, "interval_step": 0.4, "interval_max": 1}
SOCKET_LIMITS = {"socket_timeout": 1.5, "socket_connect_timeout": 1.5, "socket_keepalive": True}
RABBIT_LIMITS = {"connect_timeout_s": 2.0, "answer_timeout_s": 4.0}
BATCH = 500  # jobs a round trip in enqueue_many: 0.3 MB

_REGISTER = """
local job, open = unpack(KEYS)
local image, flag, etag, lane, pinned, now, job_id = unpack(ARGV)
local old = redis.call('HMGET', job, 'image', 'hmt_flag', 'etag', 'state', 'attempts')
local state = old[4]
if old[1] and (old[1] ~= image or old[2] ~= flag or (old[3] or etag) ~= etag) then return 'conflict' end
if pinned ~= '' and (state == 'recognized' or state == 'rejected') then return 'finished' end
if pinned == '' then redis.call('HINCRBY', job, 'generation', 1) end
local time = redis.call('TIME')
redis.call('ZADD', open, 'NX', time[1] + time[2] / 1000000, job_id)
if state == 'queued' or state == 'running' or state == 'retrying' then
    redis.call('HSETNX', job, 'enqueues', 1)
    redis.call('HINCRBY', job, 'enqueues', 1)
    return 'open'
end
redis.call('HSET', job, 'image', image, 'hmt_flag', flag, 'etag', etag, 'lane', lane, 'state', 'queued',
    'enqueued_at', now, 'attempts_before', old[5] or 0, 'enqueues', 1)
redis.call('HDEL', job, 'reason', 'snoozes', 'failures', 'outages', 'first_failure_at', 'possibly_charged',
    'finished_at', 'deaths', 'moved')
redis.call('PERSIST', job)
redis.call('ZADD', open, time[1] + time[2] / 1000000, job_id)
return state and 'open' or 'new'
"""

# A job that was not published: it must not stay `queued`, unless some worker has seen it after all, or another enqueue
# of the same job was accepted.
_TAKE_BACK = """
if redis.call('EXISTS', KEYS[1]) == 0 then return end
local others = redis.call('HINCRBY', KEYS[1], 'enqueues', -1)
local known = redis.call('HMGET', KEYS[1], 'state', 'attempts')
if others == 0 and known[1] == 'queued' and not known[2] then
    redis.call('DEL', KEYS[1])
    redis.call('ZREM', KEYS[2], ARGV[1])
end
"""


class JobOptions(TypedDict, total=False):
    """What `enqueue` takes beside the image: see `Producer.enqueue`."""

    flag: int
    job_id: str | None
    etag: str | None
    lane: str


class Producer:
    """One web app's way in. Thread-safe; connects on first use.

    `redis_url` defaults to `REDIS_URL`, else `redis://localhost:6379/0`; `broker_url` to `BROKER_URL`, else to the same
    Redis.
    """

    def __init__(self, redis_url: str | None = None, broker_url: str | None = None) -> None:
        redis_url = redis_url or os.environ.get("REDIS_URL") or "redis://localhost:6379/0"
        broker_url = broker_url or os.environ.get("BROKER_URL") or redis_url
        self._store = connect(redis_url, STATE_TIMEOUT_S)
        self._register = self._store.register_script(_REGISTER)
        self._take_back = self._store.register_script(_TAKE_BACK)
        # The web app may have a Celery app of its own: ours is not the current one, and is told what CELERY_LOADER,
        # CELERY_RESULT_BACKEND and, in Publishers, CELERY_BROKER_URL would tell it otherwise.
        self._app = celery.Celery("hmt_pass.producer", loader="app", set_as_current=False)
        self._app.backend_cls = "disabled"
        self._rabbit = Rabbit(broker_url, **RABBIT_LIMITS) if is_rabbit(broker_url) else None
        self._publishers = Publishers(self._app, broker_url)
        self._app.conf.update(
            task_publish_retry_policy=PUBLISH_RETRY,
            broker_transport_options={**SOCKET_LIMITS, "priority_steps": [0]},
            broker_connection_timeout=3,
            task_create_missing_queues=False,
            task_queues=work_queues(broker_url),
            task_default_queue="hmt_pass",
        )
        _ = self._app.amqp  # imported now, not in the first enqueue

    def enqueue(self, image: str, **options: Unpack[JobOptions]) -> str:
        """Have the permit in one S3 photo read; returns the job id at once.

        Args:
            image: `s3://bucket/key`, with `?versionId=...` for one version.
            **options: `flag`, which permit: 0 Hong Kong and Macau (default), 1, 2, 3 Taiwan. `job_id`, your own id;
                without it the id is derived from image, etag and flag, so that a double click is one job. `etag`, what
                S3's put answered: pins the content; give it, or a version, when keys are overwritten. `lane`,
                "interactive" (default) or "bulk".

        Raises:
            InvalidJobError: an argument is wrong.
            JobConflictError: `job_id` already stands for another image, etag or flag.
            NotEnqueuedError: the broker or Redis did not say within about 8 s that it took the job; enqueue it again
                later. If it had taken it after all, the job runs all the same, and the two are one.

        """
        job = Job.create(image, **options)
        self._accept([job])
        return job.job_id

    def enqueue_many(
        self, images: Iterable[str | tuple[str, JobOptions]], progress: Callable[[int], object] | None = None
    ) -> list[str]:
        """Enqueue many jobs in batches of one round trip; returns their ids in order.

        An item is an image, or a pair of it and the options of `enqueue`. `progress` is called with the number of jobs
        accepted so far. Raises like `enqueue`; the batches that `progress` was told of are accepted then, and enqueuing
        an item again is harmless.
        """
        job_ids: list[str] = []
        items = iter(images)
        while batch := [_create(item) for item in islice(items, BATCH)]:
            self._accept(batch)
            job_ids += [job.job_id for job in batch]
            if progress:
                progress(len(job_ids))
        return job_ids

    def status(self, job_id: str) -> Status:
        """Where the job stands. Raises StoreError when Redis cannot be asked."""
        with self._store.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.job(job_id))
            pipe.exists(keys.HOLD)
            fields, on_hold = pipe.execute()
        return Status.from_store(job_id, fields, on_hold=bool(on_hold))

    def result(self, job_id: str) -> dict[str, Any] | None:
        """The result document (docs/result.schema.json) while Redis keeps it; None after: see `Status.result`."""
        text = self._store.get(keys.result(job_id))
        return json.loads(text) if text else None

    def wait(self, job_id: str, timeout_s: float = 30.0) -> Status:
        """The status once it is final. Raises TimeoutError when it is not within `timeout_s`."""
        deadline, pause_s = time.monotonic() + timeout_s, 0.05
        while not (status := self.status(job_id)).state.final:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"job {job_id} is {status.state} after {timeout_s:g} s; it goes on, ask again later")
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, 1.0)
        return status

    def _accept(self, jobs: list[Job]) -> None:
        """Write the jobs' states, then publish them; a job that was not published does not stay `queued`."""
        answers = self._registered(jobs)
        to_publish = [job for job, answer in answers if answer in {"new", "open"}]
        try:
            self._publish(to_publish)
        except NotEnqueuedError:
            with suppress(StoreError), self._store.pipeline(transaction=False) as pipe:
                for job in to_publish:
                    self._take_back(keys=_state_keys(job), args=[job.job_id], client=pipe)
                pipe.execute()
            raise
        conflict = next((job for job, answer in answers if answer == "conflict"), None)
        if conflict:
            raise JobConflictError(f"job id {conflict.job_id} stands for another image, etag or flag; use a new id")

    def _registered(self, jobs: list[Job]) -> list[tuple[Job, str]]:
        """Each job and what it is: new, open, finished, which needs no message, or in conflict with another image."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._store.pipeline(transaction=False) as pipe:
            for job in jobs:
                pinned = "pinned" if job.pinned else ""
                arguments: list[str | int] = [str(job.image), int(job.flag), job.etag or "", job.lane, pinned, now]
                self._register(keys=_state_keys(job), args=[*arguments, job.job_id], client=pipe)
            try:
                return list(zip(jobs, pipe.execute(), strict=True))
            except StoreError as error:
                raise NotEnqueuedError(str(error)) from None

    def _publish(self, jobs: list[Job]) -> None:
        try:
            with self._rabbit.confirmed() if self._rabbit else self._publishers.confirmed(len(jobs)) as publisher:
                for job in jobs:
                    self._app.send_task(
                        RECOGNIZE,
                        kwargs=job.kwargs,
                        task_id=job.job_id,
                        queue=job.lane.queue,
                        producer=publisher,
                        # Redis' lists need none, and kombu ends with an AttributeError if the connection is lost in it.
                        declare=None if self._rabbit else [],
                        add_to_parent=False,
                    )
        except StoreError as error:
            raise NotEnqueuedError(f"the broker did not take the job: {error}") from None


def _state_keys(job: Job) -> list[str]:
    return [keys.job(job.job_id), keys.open_jobs(job.lane)]


def _create(item: str | tuple[str, JobOptions]) -> Job:
    image, options = (item, JobOptions()) if isinstance(item, str) else item
    return Job.create(image, **options)


@cache
def default() -> Producer:
    """The Producer of the module's functions, built once from the environment."""
    return Producer()


def enqueue(image: str, **options: Unpack[JobOptions]) -> str:
    """See `Producer.enqueue`."""
    return default().enqueue(image, **options)


def enqueue_many(
    images: Iterable[str | tuple[str, JobOptions]], progress: Callable[[int], object] | None = None
) -> list[str]:
    """See `Producer.enqueue_many`."""
    return default().enqueue_many(images, progress)


def status(job_id: str) -> Status:
    """See `Producer.status`."""
    return default().status(job_id)


def result(job_id: str) -> dict[str, Any] | None:
    """See `Producer.result`."""
    return default().result(job_id)


def wait(job_id: str, timeout_s: float = 30.0) -> Status:
    """See `Producer.wait`."""
    return default().wait(job_id, timeout_s)
