"""The Redis of the job states, which is the broker too unless that is RabbitMQ: killed, frozen, cut off, full."""

import os
import signal
import time

import pytest
from chaos.build import Builder
from chaos.feeder import feeding
from chaos.scripted import code
from chaos.world import World


@pytest.mark.chaos_any_broker
def test_a_killed_redis_that_comes_back_with_its_file_has_lost_nothing(world: World) -> None:
    world.endpoint.plain(code("0000", 0.1))
    world.fleet.start(2)
    with feeding(world, jobs=world.size(150, 600), per_s=40):
        for _ in range(world.size(1, 4)):
            time.sleep(world.chance.uniform(0.8, 1.5))
            world.redis.kill()
            time.sleep(world.chance.uniform(0, 1))
            world.redis.start()

    assert [] == world.verdict("Redis: SIGKILL, restart from the append-only file", faults=world.size(1, 4)).violations


@pytest.mark.chaos_any_broker
def test_a_frozen_redis_costs_nothing_but_time(world: World) -> None:
    world.endpoint.plain(code("0000", 0.1))
    world.fleet.start(2)
    with feeding(world, jobs=100, per_s=60) as feeder:
        time.sleep(1)
        os.kill(world.redis.pid, signal.SIGSTOP)
        time.sleep(world.size(5, 30))
        os.kill(world.redis.pid, signal.SIGCONT)

    findings = world.verdict("Redis: SIGSTOP beyond the visibility timeout", faults=1)
    assert [] == findings.violations
    assert feeder.slowest_s < 10


@pytest.mark.chaos_full  # tests/integration/test_lost_and_found.py cuts them
def test_connections_that_are_reset_again_and_again_run_no_job_twice(build: Builder) -> None:
    world = build(gated=True)
    assert world.redis_gate is not None
    world.endpoint.plain(code("0000", 0.3))
    world.fleet.start(2)
    world.enqueue(world.size(100, 600))
    for _ in range(world.size(5, 40)):
        time.sleep(world.chance.uniform(0.2, 1.0))
        world.redis_gate.reset_all()

    findings = world.verdict("Redis: connections reset", 90, faults=world.redis_gate.resets)
    assert [] == findings.violations
    # An intent whose confirmation was cut off is written down as possibly charged, though no call was made.
    assert (len(world.accepted), 0) == (findings.charges, findings.paid_again)


@pytest.mark.chaos_any_broker
def test_a_redis_out_of_memory_refuses_loudly_and_the_workers_go_on_when_it_has_room(world: World) -> None:
    world.endpoint.plain(code("0000", 0.1))
    world.fleet.start(2)
    world.enqueue(world.size(60, 200))
    with feeding(world, jobs=60, per_s=30) as feeder:
        time.sleep(0.5)
        world.store.config_set("maxmemory", "1mb")
        time.sleep(world.size(3, 15))
        world.store.config_set("maxmemory", "256mb")

    findings = world.verdict("Redis: out of memory, then room again", faults=1)
    assert feeder.errors
    assert [] == findings.violations
    assert all(worker.running for worker in world.fleet.workers)
