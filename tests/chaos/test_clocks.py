"""Workers whose clocks are ten minutes apart, and those that were asleep for longer than their lease."""

import signal
import time

import pytest
from chaos.nursery import Child
from chaos.points import at
from chaos.scripted import code
from chaos.world import World

TEN_MINUTES_S = 600.0


@pytest.mark.chaos_any_broker
def test_workers_whose_clocks_are_ten_minutes_apart_agree_on_every_lease_and_delay(world: World) -> None:
    world.endpoint.mix(world.seed, (code("9999"), 0.3), (code("1009"), 0.05))
    world.endpoint.plain(code("0000", 0.05))
    for clock_s in (0.0, -TEN_MINUTES_S, TEN_MINUTES_S):
        world.fleet.start(clock_s=clock_s)
    world.enqueue(world.size(60, 400))

    findings = world.verdict("clocks 10 minutes apart", faults=2)
    assert [] == findings.violations
    assert {"recognized": len(world.accepted)} == findings.ends
    assert findings.paid_again == 0  # with these clocks nobody could tell what was known when
    assert findings.recovery_s is not None
    assert findings.recovery_s < 60


@pytest.mark.chaos_full  # tests/integration freezes one, tests/model explores it in every order
def test_a_worker_that_wakes_up_after_its_lease_writes_nothing_over_the_work_of_another(world: World) -> None:
    world.endpoint.script(*[code("0000", 1.0)] * 4)
    (sleeper,) = world.fleet.start(concurrency=4)
    world.enqueue(4)
    world.until(lambda: len(world.endpoint.calls()) == 4)
    sleeper.signal(signal.SIGSTOP)
    world.fleet.start()
    world.until(lambda: world.ended(world.accepted) == 4, 40)
    results = [world.producer.result(job_id) for job_id in world.accepted]
    sleeper.signal(signal.SIGCONT)
    time.sleep(3)

    findings = world.verdict("a worker asleep beyond its lease (F18)", faults=1)
    assert [] == findings.violations
    assert {"recognized": 4} == findings.ends
    assert (8, 4) == (findings.charges, findings.paid_again)
    assert results == [world.producer.result(job_id) for job_id in world.accepted]


@pytest.mark.chaos_any_broker
def test_a_worker_that_slept_between_its_leave_and_its_call_does_not_call(world: World) -> None:
    sleeper = asleep_until_another_has_done_its_job(world, "leave")
    sleeper.signal(signal.SIGCONT)
    sleeper.wait_for("the claim was lost to another worker")

    findings = world.verdict("a worker asleep between leave and call")
    assert [] == findings.violations
    assert (1, 0) == (findings.charges, findings.paid_again)
    assert [f"{world.job_id(0)}-2"] == [call.sequence_id for call in world.endpoint.calls()]
    [job] = world.jobs()
    assert ("not sent in time", False) == (job.attempts[0]["error"], job.attempts[0]["possibly_charged"])


@pytest.mark.chaos_full
def test_a_worker_that_slept_with_a_reply_in_its_hands_costs_a_second_call_and_tells_the_truth_late(
    world: World,
) -> None:
    sleeper = asleep_until_another_has_done_its_job(world, "reply")
    [job] = world.jobs()
    assert ("worker died", True) == (job.attempts[0]["error"], job.attempts[0]["possibly_charged"])
    sleeper.signal(signal.SIGCONT)
    sleeper.wait_for("the claim was lost to another worker")

    findings = world.verdict("a worker asleep between reply and receipt")
    assert [] == findings.violations
    assert (2, 1, 0) == (findings.charges, findings.paid_again, findings.ambiguous)
    [job] = world.jobs()
    assert ("0000", 1) == (job.attempts[0]["code"], job.attempts[0]["charge"])


def asleep_until_another_has_done_its_job(world: World, point: str) -> Child:
    """A worker that was frozen at `point` of its only job, and still is; the job has its end."""
    job_id = world.job_id(0)
    world.fleet.faults = {point: at([job_id], do="freeze")}
    (sleeper,) = world.fleet.start()
    world.enqueue(1)
    world.until(world.fleet.deaths.exists)
    world.fleet.faults = {}
    world.fleet.start()
    world.until(lambda: world.ended([job_id]) == 1, 40)
    return sleeper
