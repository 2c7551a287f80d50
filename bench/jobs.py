"""CPU and memory of the worker per job, with an endpoint that answers at once: ours beside the plain worker."""

import os
import time
from collections.abc import Callable

import redis
from celery import Celery

from bench.rig import CeleryWorker, Rig, photo, rig
from hmt_pass.producer import Producer
from hmt_pass.status import State
from local.s3 import BUCKET

JOBS = 400
WARM_UP = 40


def run() -> None:
    """Print a line for each worker."""
    with rig() as ground:
        images = ground.upload(JOBS + WARM_UP, photo())
        print(f"{'worker':<32}{'jobs/s':>8}{'CPU ms a job':>14}{'MB':>7}   {JOBS} jobs after {WARM_UP} to warm up")
        for name, sync, measure in (
            ("hmt-pass, threads -c 32", "always", _ours),
            ("the same, appendfsync everysec", "everysec", _ours),
            ("plain celery, prefork -c 2", "always", _plain),
        ):
            ground.sync(sync)
            jobs_s, cpu_ms, memory_mb = measure(ground, images)
            print(f"{name:<32}{jobs_s:>8.0f}{cpu_ms:>14.1f}{memory_mb:>7.0f}", flush=True)
            ground.flush()


def _ours(ground: Rig, images: list[str]) -> tuple[float, float, float]:
    producer = Producer(ground.redis_url)
    ids: list[str] = []

    def done() -> bool:
        return all(producer.status(job_id).state is State.RECOGNIZED for job_id in ids[-4:]) and _all_done(
            producer, ids
        )

    worker = CeleryWorker("worker", ground.folder / "ours.log", ground.environment)
    return _measure(worker, lambda batch: ids.extend(producer.enqueue_many(batch)), done, images)


def _all_done(producer: Producer, ids: list[str]) -> bool:
    return all(producer.status(job_id).state is State.RECOGNIZED for job_id in ids)


def _plain(ground: Rig, images: list[str]) -> tuple[float, float, float]:
    app = Celery("plain", broker=ground.redis_url, set_as_current=False)
    store = redis.Redis.from_url(ground.redis_url)
    sent = 0

    def send(batch: list[str]) -> None:
        nonlocal sent
        for image in batch:
            app.send_task("plain.recognize", (BUCKET, image.rpartition("/")[2]), ignore_result=True)
        sent += len(batch)

    worker = CeleryWorker("bench.plain", ground.folder / "plain.log", ground.environment, "-c", str(os.cpu_count()))
    return _measure(worker, send, lambda: int(store.get("plain:done") or 0) >= sent, images)


def _measure(
    worker: CeleryWorker, send: Callable[[list[str]], object], done: Callable[[], bool], images: list[str]
) -> tuple[float, float, float]:
    """Jobs a second, CPU milliseconds a job, resident megabytes."""
    with worker:
        send(images[:WARM_UP])
        _until(done)
        cpu_s, start_s = worker.cpu_s(), time.monotonic()
        send(images[WARM_UP:])
        _until(done)
        took_s = time.monotonic() - start_s
        return JOBS / took_s, (worker.cpu_s() - cpu_s) / JOBS * 1000, worker.memory_mb()


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the jobs are not done after 300 s; look at the worker's log")
        time.sleep(0.2)
