"""RabbitMQ killed and frozen under load: what it confirmed it keeps, and a producer that was not confirmed is told."""

import os
import signal
import time

import pytest
from brokers import QUEUES_WRITTEN_S
from chaos.feeder import feeding
from chaos.scripted import code
from chaos.world import World

pytestmark = pytest.mark.chaos_broker("rabbitmq")


@pytest.mark.chaos_full  # tests/integration/test_rabbitmq.py kills it once
def test_a_killed_rabbitmq_that_comes_back_has_kept_what_it_confirmed(world: World) -> None:
    assert world.rabbit is not None
    world.endpoint.plain(code("0000", 0.1))
    world.fleet.start(2)
    time.sleep(QUEUES_WRITTEN_S)
    with feeding(world, jobs=world.size(100, 400), per_s=40):
        for _ in range(world.size(1, 3)):
            time.sleep(world.chance.uniform(0.8, 1.5))
            world.rabbit.kill()
            world.rabbit.start()

    assert [] == world.verdict("RabbitMQ: SIGKILL and restart", faults=world.size(1, 3)).violations


@pytest.mark.chaos_full
def test_a_frozen_rabbitmq_costs_nothing_but_time(world: World) -> None:
    assert world.rabbit is not None
    world.endpoint.plain(code("0000", 0.1))
    world.fleet.start(2)
    with feeding(world, jobs=100, per_s=60) as feeder:
        time.sleep(1)
        os.kill(world.rabbit.pid, signal.SIGSTOP)
        time.sleep(30)
        os.kill(world.rabbit.pid, signal.SIGCONT)

    findings = world.verdict("RabbitMQ: SIGSTOP for 30 s", 90, faults=1)
    assert [] == findings.violations
    assert feeder.slowest_s < 10
