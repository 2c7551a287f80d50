"""What an upload handler sees of a broker that is away: an error in time, and never an id without a job."""

import time

import pytest
from chaos.build import Builder
from chaos.gate import Gate
from chaos.options import full
from chaos.world import World

from hmt_pass.errors import NotEnqueuedError

PATIENCE_S = 10.0  # about 8 s are promised


@pytest.fixture
def world(build: Builder) -> World:
    return build(gated=True)


@pytest.mark.chaos_any_broker
@pytest.mark.parametrize("fault", [full("refuse"), "hang"])
def test_an_enqueue_without_redis_fails_in_time_and_succeeds_once_it_is_back(world: World, fault: str) -> None:
    fails_and_succeeds(world, world.redis_gate, fault)

    findings = world.verdict(f"enqueue while Redis does: {fault}", faults=1)
    assert [] == findings.violations
    assert ({"recognized": 2}, 2) == (findings.ends, findings.charges)


@pytest.mark.chaos_broker("rabbitmq")
@pytest.mark.parametrize("fault", ["refuse", full("hang")])
def test_an_enqueue_without_rabbitmq_fails_in_time_and_succeeds_once_it_is_back(world: World, fault: str) -> None:
    fails_and_succeeds(world, world.rabbit_gate, fault)

    findings = world.verdict(f"enqueue while RabbitMQ does: {fault}", faults=1)
    assert [] == findings.violations
    assert ({"recognized": 2}, 2) == (findings.ends, findings.charges)


def fails_and_succeeds(world: World, gate: Gate | None, fault: str) -> None:
    """Enqueue a job before, one while the gate does `fault`, in vain, and the same one after."""
    assert gate is not None
    world.enqueue(1)
    getattr(gate, fault)()
    (image,) = world.photos.references(2)[1:]
    begun_s = time.monotonic()
    with pytest.raises(NotEnqueuedError):
        world.producer.enqueue(image, job_id=world.job_id(1))
    assert time.monotonic() - begun_s < PATIENCE_S

    gate.open()
    world.enqueue(1, first=1)
    world.fleet.start()
