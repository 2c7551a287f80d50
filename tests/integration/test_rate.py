"""F14: the limit holds for the fleet, whatever the number of processes, and is used."""

from statistics import median

import pytest
from system import System

from hmt_pass.status import State

pytestmark = pytest.mark.parametrize(
    "broker", ["redis"], indirect=True
)  # the turns are given by the Redis of the states

RATE_PER_S = 20
PROCESSES = 4
JOBS = 200


@pytest.mark.timeout(120)
def test_many_processes_keep_one_limit_and_use_it(system: System) -> None:
    system.books.latency_s = 0.05
    images = [system.upload(f"{n}.png", n) for n in range(JOBS)]
    for _ in range(PROCESSES):  # before the first job: one alone may be slower than the limit where syncs are slow
        system.worker(rate_per_s=RATE_PER_S)
    job_ids = list(system.producer.enqueue_many(images))

    assert {State.RECOGNIZED} == set(system.wait(*job_ids, timeout_s=60))

    times = [line.at_s for line in system.books.lines]
    busiest = max(sum(start <= at < start + 1 for at in times) for start in times)
    assert busiest <= RATE_PER_S * 1.1 + 1  # a call that was late on its way and one that was not
    starts = [times[0] + tenths / 10 for tenths in range(int(10 * (times[-1] - times[0] - 1)))]
    typical = median(sum(start <= at < start + 1 for at in times) for start in starts)
    assert typical >= 0.95 * RATE_PER_S  # not the mean: a machine that stood still for a moment is no answer
    assert JOBS == system.books.charges


@pytest.mark.timeout(120)
def test_a_1009_slows_every_process_down_at_once_and_no_attempt_is_spent(system: System) -> None:
    for _ in range(2):
        system.worker()
    system.books.allowed_per_s = 10
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(100)]

    assert {State.RECOGNIZED} == set(system.wait(*job_ids, timeout_s=90))

    refused = sum(line.code == "1009" for line in system.books.lines)
    assert 0 < refused < 60
    assert 100 == system.books.charges
    assert {None} == {system.stored(job_id)["reason"] for job_id in job_ids}


@pytest.mark.timeout(120)
def test_the_interactive_lane_goes_first(system: System) -> None:
    system.worker(rate_per_s=10)
    bulk = [system.producer.enqueue(system.upload(f"bulk-{n}.png", n), lane="bulk") for n in range(60)]
    system.until(lambda: len(system.books.lines) >= 10)
    urgent = [system.producer.enqueue(system.upload(f"urgent-{n}.png", 100 + n)) for n in range(20)]

    assert {State.RECOGNIZED} == set(system.wait(*urgent, *bulk, timeout_s=60))

    order = system.books.job_ids
    last_urgent = max(order.index(job_id) for job_id in urgent)
    overtaken = sum(order.index(job_id) > last_urgent for job_id in bulk)
    assert overtaken >= 25  # of the 50 that were waiting before the first of them came
