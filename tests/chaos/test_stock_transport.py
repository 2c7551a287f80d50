"""celery's own transport under the same kills: it must lose jobs, or the tests of ours prove nothing."""

import time

import pytest
from chaos.auditor import LOST, Findings
from chaos.world import World

ROUNDS, WORKERS = 20, 3  # it loses a job in about every fifth kill
JOBS_A_ROUND = 300  # more than three workers do before they are killed


@pytest.mark.chaos_broker("redis")  # on RabbitMQ we use the stock transport
def test_the_stock_transport_loses_jobs_whose_worker_is_killed(world: World) -> None:
    world.fleet.stock_transport = True

    for _ in range(ROUNDS):
        world.enqueue(JOBS_A_ROUND, first=len(world.accepted))
        findings = after_a_killed_fleet(world)
        if findings.lost and not (world.full and world.fleet.kills < 30):
            break

    assert findings.lost > 0, "the kills do not bite"
    assert {LOST} == {violation.kind for violation in findings.violations}


def after_a_killed_fleet(world: World) -> Findings:
    for worker in world.fleet.start(WORKERS, concurrency=16):
        time.sleep(world.chance.uniform(0.1, 0.6))
        worker.kill()
    world.fleet.kills += WORKERS
    return world.audit("SIGKILL of a worker, stock transport", drained=False, reconciled=False)
