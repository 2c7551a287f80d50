"""What the threads of a web app see of a broker, a Redis of its own, that is silent for a while."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from hmt_pass import keys
from hmt_pass.errors import NotEnqueuedError
from hmt_pass.job import Job
from hmt_pass.producer import Producer
from hmt_pass.status import State
from hmt_pass.store import connect
from local.redis import RedisServer

THREADS = 40  # what an ASGI server has
PATIENCE_S = 10.0  # about 8 s are promised, on an idle machine
SILENCE_MS = 2_000  # longer than one try waits


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "broker") as server:
        yield server


@contextmanager
def frozen(server: RedisServer) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_each_of_many_threads_is_told_in_time(redis: RedisServer, silent: RedisServer) -> None:
    producer = Producer(redis.url, silent.url)

    def refused_after_s(number: int) -> float:
        begun_s = time.monotonic()
        with pytest.raises(NotEnqueuedError):
            producer.enqueue(f"s3://photos/{number}.jpg")
        return time.monotonic() - begun_s

    with frozen(silent), ThreadPoolExecutor(THREADS) as threads:
        slowest_s = max(threads.map(refused_after_s, range(THREADS)))
    assert slowest_s < PATIENCE_S


def test_a_job_whose_first_try_met_the_silence_is_accepted_by_the_next(redis: RedisServer, silent: RedisServer) -> None:
    producer = Producer(redis.url, silent.url)
    with connect(silent.url) as store:
        store.client_pause(SILENCE_MS, all=False)  # it takes connections and answers PING, and no write
        job_id = producer.enqueue("s3://photos/a.jpg")
        assert 1 <= store.llen("hmt_pass")  # a try that was not answered may have been carried out
    assert State.QUEUED is producer.status(job_id).state


def test_a_batch_that_is_refused_is_refused_as_one_job_is(redis: RedisServer, silent: RedisServer) -> None:
    producer = Producer(redis.url, silent.url)
    images = ["s3://photos/a.jpg", "s3://photos/b.jpg"]
    with connect(silent.url) as store:
        store.config_set("maxmemory", 1)
        with pytest.raises(NotEnqueuedError, match="the broker did not take the job"):
            producer.enqueue_many(images)
        store.config_set("maxmemory", 0)
        assert 0 == store.llen("hmt_pass")
    assert [State.UNKNOWN] * 2 == [producer.status(Job.create(image).job_id).state for image in images]


def test_a_job_that_another_enqueue_was_told_of_is_not_taken_back(redis: RedisServer, silent: RedisServer) -> None:
    image = "s3://photos/a.jpg"
    with frozen(silent), ThreadPoolExecutor(1) as thread:
        refused = thread.submit(Producer(redis.url, silent.url).enqueue, image)
        time.sleep(1)
        job_id = Producer(redis.url).enqueue(image)  # a double click at another process, whose broker answers
        with pytest.raises(NotEnqueuedError):
            refused.result()
    with connect(redis.url) as store:
        assert State.QUEUED is Producer(redis.url).status(job_id).state
        assert store.zscore(keys.open_jobs("interactive"), job_id)


def test_a_job_that_nobody_was_told_of_is_taken_back_however_often_it_was_tried(
    redis: RedisServer, silent: RedisServer
) -> None:
    image = "s3://photos/a.jpg"
    with frozen(silent), ThreadPoolExecutor(2) as threads:
        tries = [threads.submit(Producer(redis.url, silent.url).enqueue, image) for _ in range(2)]
        assert [NotEnqueuedError] * 2 == [type(job.exception()) for job in tries]
    assert State.UNKNOWN is Producer(redis.url).status(Job.create(image).job_id).state
