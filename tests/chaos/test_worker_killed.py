"""SIGKILL of a worker process, again and again."""

import pytest
from chaos.options import full
from chaos.points import at
from chaos.world import World


def test_a_worker_killed_again_and_again_loses_nothing_and_pays_nothing_twice(world: World) -> None:
    world.endpoint.plain({"do": "answer", "code": "0000", "delay_s": 0.05})
    world.fleet.faults = {point: at(share=0.004) for point in ("call", "reply", "receipt", "put", "end")}
    world.fleet.start(3)
    world.enqueue(world.size(300, 5000))

    world.fleet.kill_for(world.size(10, 100), count=3, pause_s=(0.05, 0.4))
    world.fleet.heal(3)

    assert [] == world.verdict("SIGKILL of a worker", 400).violations


@pytest.mark.chaos_any_broker
@pytest.mark.parametrize("point", [full("call"), full("reply"), "receipt", full("put"), full("end")])
def test_a_job_whose_worker_dies_at_any_step_is_finished_by_another(world: World, point: str) -> None:
    job_ids = [world.job_id(number) for number in range(8)]
    world.fleet.faults = {point: at(job_ids[:1])}
    world.fleet.start()
    world.enqueue(8)
    world.until(lambda: not world.fleet.workers[0].running)
    world.fleet.heal(1)

    findings = world.verdict(f"SIGKILL at the step: {point}")
    assert [] == findings.violations
    assert {"recognized": 8} == findings.ends
    assert findings.paid_again <= 8  # those that were at the endpoint when the process died
    if point in {"receipt", "put", "end"}:
        assert 1 == sum(call.job_id == job_ids[0] for call in world.endpoint.calls())
