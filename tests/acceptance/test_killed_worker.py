"""The one fault that money hangs on: a worker is killed while the endpoint reads."""

import pytest
from system import System

from hmt_pass import keys
from hmt_pass.status import State

# The job is back after 10 s: long enough for a worker on a busy machine to renew its leases, which it does every 2.5 s.
HASTY = {"total_timeout_s": 2, "connect_timeout_s": 1, "storage_timeout_s": 1, "visibility_timeout_s": 10}


@pytest.mark.timeout(180)
def test_a_worker_killed_in_mid_call_leaves_a_job_that_ends_once_with_its_charge_counted(system: System) -> None:
    system.books.latency_s = 1.0
    victim = system.worker(**HASTY)
    job_id = system.producer.enqueue(system.upload("one.png"))
    system.until(lambda: system.books.lines)
    victim.kill()
    assert State.RUNNING is system.producer.status(job_id).state

    system.worker(**HASTY)
    assert [State.RECOGNIZED] == system.wait(job_id, timeout_s=90)

    first, second = system.stored(job_id)["attempts"]
    assert ("worker died", True) == (first["error"], first["possibly_charged"])
    assert ("0000", 1) == (second["code"], second["charge"])
    assert 2 == system.books.charges  # the killed call was charged, and our own books say that it may have been
    assert 0 == system.store.exists(keys.receipt(job_id))
    assert [] == system.command("dead-letters", "list")
