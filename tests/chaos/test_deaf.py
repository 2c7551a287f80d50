"""A worker that takes no messages any more though there are some: it ends itself, and its successor takes them."""

import pytest
from chaos.points import at
from chaos.world import World


@pytest.mark.chaos_full
@pytest.mark.chaos_broker("redis")  # RabbitMQ pushes, and its client's heartbeats find a dead connection
def test_a_deaf_worker_ends_itself_and_another_does_its_work(world: World) -> None:
    world.fleet.faults = {"end": at([world.job_id(0)], do="go deaf")}
    (deaf,) = world.fleet.start()
    world.enqueue(1)
    world.until(lambda: world.ended(world.accepted) == 1)
    world.enqueue(8, first=1)

    world.until(lambda: not deaf.running, 30)
    assert "messages wait and none is taken" in deaf.log.read_text()
    assert world.ended(world.accepted) < len(world.accepted)
    world.fleet.heal(1)

    findings = world.verdict("a deaf worker")
    assert [] == findings.violations
    assert ({"recognized": 9}, 9) == (findings.ends, findings.charges)
