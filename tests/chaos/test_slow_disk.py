"""Redis killed while its disk is slow: what it had answered for must be in its file.

`make chaos SEED=104` lost a job so, when Redis still synced once a second: while a sync is under way it answers before
it writes. That took many kills to happen by chance; here the disk sees to it.
"""

import time

import pytest
from chaos.auditor import LOST
from chaos.feeder import feeding
from chaos.scripted import code
from chaos.slow_disk import slow_disk
from chaos.world import World

FAULT = "Redis: SIGKILL while its disk is slow"
UPLOADERS = 16


@pytest.mark.chaos_full
def test_a_redis_killed_while_its_disk_is_slow_has_lost_no_job_that_it_took(world: World) -> None:
    world.endpoint.plain(code("0000", 0.1))
    kills = world.size(1, 4)
    with feeding(world, jobs=kills * 150, per_s=60, uploaders=UPLOADERS) as feeder:
        for _ in range(kills):
            kill_on_a_slow_disk(world, sync_takes_s=0.3, after_s=world.chance.uniform(2, 3))
    world.fleet.start(2)

    findings = world.verdict(FAULT, faults=kills)
    assert [] == findings.violations
    assert feeder.errors, "nobody was uploading when it was killed"


@pytest.mark.chaos_full
@pytest.mark.chaos_broker("redis")
def test_a_redis_that_syncs_once_a_second_loses_jobs_by_such_a_kill(world: World) -> None:
    world.store.config_set("appendfsync", "everysec")
    with feeding(world, jobs=150, per_s=60, uploaders=UPLOADERS):
        # The first sync begins within a second and outlasts the kill, and Redis puts off writing for two.
        kill_on_a_slow_disk(world, sync_takes_s=5, after_s=1.7)

    findings = world.audit(f"{FAULT}, appendfsync everysec", faults=1, drained=False)
    assert findings.lost > 0, "the kill does not bite"
    assert {LOST} == {violation.kind for violation in findings.violations}


def kill_on_a_slow_disk(world: World, sync_takes_s: float, after_s: float) -> None:
    with slow_disk(world.redis.pid, sync_takes_s):
        time.sleep(after_s)
        world.redis.kill()
    world.redis.start()
