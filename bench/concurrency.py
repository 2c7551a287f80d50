"""How many threads a worker wants, with an endpoint that takes 300 ms: where the default of 32 comes from."""

import time

from bench.rig import CeleryWorker, photo, rig
from hmt_pass.producer import Producer
from hmt_pass.status import State

LATENCY_S = 0.3
JOBS_A_THREAD = 12


def run() -> None:
    """Print a line for each number of threads."""
    print(f"{'threads':>8}{'jobs/s':>8}{'of the ideal':>14}{'CPU ms a job':>14}{'MB':>7}   endpoint {LATENCY_S:g} s")
    with rig(LATENCY_S) as ground:
        body = photo()
        for threads in (8, 16, 32, 64):
            images = ground.upload(threads * JOBS_A_THREAD, body)
            producer = Producer(ground.redis_url)
            environment = {**ground.environment, "HMT_PASS_CONCURRENCY": str(threads)}
            with CeleryWorker("worker", ground.folder / f"{threads}.log", environment) as worker:
                cpu_s, start_s = worker.cpu_s(), time.monotonic()
                ids = list(producer.enqueue_many(images))
                while not all(producer.status(job_id).state is State.RECOGNIZED for job_id in reversed(ids)):
                    time.sleep(0.1)
                took_s = time.monotonic() - start_s
                cpu_ms = (worker.cpu_s() - cpu_s) / len(ids) * 1000
                jobs_s, memory_mb = len(ids) / took_s, worker.memory_mb()
            print(
                f"{threads:>8}{jobs_s:>8.0f}{jobs_s * LATENCY_S / threads:>14.2f}{cpu_ms:>14.1f}{memory_mb:>7.0f}",
                flush=True,
            )
            ground.flush()
