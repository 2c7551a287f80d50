"""S3 that is overloaded, slow, away, refuses, has lost an object or has another one than was enqueued."""

import time
from collections.abc import Callable

import pytest
from chaos.build import Builder
from chaos.gate import S3Gate
from chaos.options import full
from chaos.photos import png
from chaos.scripted import code
from chaos.world import World

from local.s3 import BUCKET

READS, WRITES, ALL = {"GET"}, {"PUT"}, {"GET", "PUT"}
FAULTS: dict[str, Callable[[S3Gate], None]] = {
    "503 SlowDown for every second request": lambda gate: gate.answer(503, "SlowDown", methods=ALL, share=0.5),
    "503 SlowDown": lambda gate: gate.answer(503, "SlowDown", methods=ALL),
    "403 AccessDenied": lambda gate: gate.answer(403, "AccessDenied", methods=ALL),
    "refuses connections": lambda gate: gate.refuse(),
    "hangs": lambda gate: gate.hang(),
    "slow beyond the time limit": lambda gate: gate.slow(3, methods=ALL),
    "500 for every put": lambda gate: gate.answer(500, "InternalError", methods=WRITES),
}


pytestmark = pytest.mark.chaos_any_broker


@pytest.fixture
def world(build: Builder) -> World:
    world = build(gated=True)
    world.environment["HMT_PASS_MAX_ATTEMPTS"] = "50"  # a denied object counts as an attempt
    return world


@pytest.mark.parametrize("fault", [fault if "500" in fault else full(fault) for fault in FAULTS])
def test_jobs_wait_for_s3_and_none_is_paid_twice(world: World, fault: str) -> None:
    assert world.s3_gate is not None
    world.endpoint.plain(code("0000", 0.2))
    world.enqueue(world.size(30, 100))
    world.fleet.start(2)
    world.until(world.endpoint.calls)
    FAULTS[fault](world.s3_gate)
    time.sleep(world.size(2, 12))
    world.s3_gate.open()

    findings = world.verdict(f"S3: {fault}", faults=1)
    assert [] == findings.violations
    assert {"recognized": len(world.accepted)} == findings.ends
    assert (len(world.accepted), 0) == (findings.charges, findings.ambiguous)


def test_a_missing_object_and_one_that_changed_since_are_dead_letters_that_cost_nothing(world: World) -> None:
    reference = world.photos.put(f"changing-{world.seed}.png", png(900_001))
    etag = world.s3.client.head_object(Bucket=BUCKET, Key=f"changing-{world.seed}.png")["ETag"]
    missing = world.producer.enqueue(f"s3://{BUCKET}/nobody-put-this-{world.seed}.png", job_id=world.job_id(1))
    changed = world.producer.enqueue(reference, etag=etag, job_id=world.job_id(2))
    world.accepted += [missing, changed]
    world.photos.put(f"changing-{world.seed}.png", png(900_002))
    world.fleet.start()

    findings = world.verdict("S3: object missing, object changed", faults=2)
    assert [] == findings.violations
    assert ({"dead": 2}, 0) == (findings.ends, findings.charges)
