"""A broker that loses messages while the job states are safe elsewhere: the registry knows what is missing."""

import time

import pytest
from chaos.build import Builder
from chaos.scripted import code
from chaos.world import World

pytestmark = pytest.mark.chaos_broker("redis")


@pytest.fixture
def world(build: Builder) -> World:
    return build(own_broker=True, redis_options=("--appendonly", "no"))


def test_flushall_on_the_broker_loses_no_job(world: World) -> None:
    world.endpoint.plain(code("0000", 0.2))
    world.fleet.start(2)
    world.enqueue(world.size(60, 400))
    time.sleep(1)
    world.broker_store().flushall()

    findings = world.verdict("broker Redis: FLUSHALL", 90, faults=1)
    assert [] == findings.violations
    assert len(world.accepted) == findings.charges


@pytest.mark.chaos_full
def test_a_broker_that_restarts_from_an_old_snapshot_loses_no_job_and_pays_none_again(world: World) -> None:
    world.endpoint.plain(code("0000", 0.2))
    world.enqueue(world.size(30, 200))
    world.broker_store().save()
    world.fleet.start(2)
    world.enqueue(world.size(30, 200), first=len(world.accepted))
    time.sleep(1)
    world.broker_redis.kill()
    world.broker_redis.start()

    findings = world.verdict("broker Redis: restart from an old snapshot", 90, faults=1)
    assert [] == findings.violations
    assert len(world.accepted) == findings.charges
