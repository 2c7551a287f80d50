"""SIGKILL of a worker process, again and again."""

from chaos.points import at
from chaos.world import World


def test_a_worker_killed_again_and_again_loses_nothing_and_pays_nothing_twice(world: World) -> None:
    world.endpoint.plain({"do": "answer", "code": "0000", "delay_s": 0.05})
    world.fleet.faults = {point: at(share=0.004) for point in ("call", "reply", "receipt", "put", "end")}
    world.fleet.start(3)
    world.enqueue(world.size(600, 5000))

    world.fleet.kill_for(world.size(20, 100), count=3, pause_s=(0.05, 0.4))
    world.fleet.heal(3)
    recovery_s = world.drain(90)

    findings = world.audit("SIGKILL of a worker", recovery_s)
    assert [] == findings.violations
