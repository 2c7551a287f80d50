"""What a web app waits for: enqueue and enqueue_many, on a Redis that syncs before each answer or once a second."""

import time
from itertools import count

from bench.rig import Rig, rig
from hmt_pass.producer import Producer

ONE_BY_ONE = 2_000
AT_ONCE = 20_000


def run() -> None:
    """Print a line for each way to sync; no worker runs, and no image is uploaded."""
    with rig() as ground:
        print(f"{'appendfsync':<14}{'enqueue, ms':>12}{'enqueue_many, jobs/s':>22}   {ONE_BY_ONE} and {AT_ONCE} jobs")
        for sync in ("always", "everysec") * 2:
            ground.sync(sync)
            each_ms, jobs_s = _measure(ground)
            print(f"{sync:<14}{each_ms:>12.2f}{jobs_s:>22.0f}", flush=True)
            ground.flush()


def _measure(ground: Rig) -> tuple[float, float]:
    """Milliseconds of one enqueue, jobs a second of one enqueue_many."""
    producer = Producer(ground.redis_url)
    images = (f"s3://bench/{number}.jpg" for number in count())
    producer.enqueue(next(images))
    start_s = time.perf_counter()
    for _ in range(ONE_BY_ONE):
        producer.enqueue(next(images))
    each_ms = (time.perf_counter() - start_s) / ONE_BY_ONE * 1000
    batch = [next(images) for _ in range(AT_ONCE)]
    start_s = time.perf_counter()
    producer.enqueue_many(batch)
    return each_ms, AT_ONCE / (time.perf_counter() - start_s)
