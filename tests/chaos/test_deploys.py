"""Workers that are told to stop: in the middle of a call, twice, at once, and one after the other under load."""

import signal
import time

import pytest
from chaos.feeder import feeding
from chaos.scripted import code
from chaos.world import World

ENDS_WITHIN_S = 10  # 2 s, on a machine that has other things to do


@pytest.mark.chaos_full
def test_a_worker_that_is_told_to_stop_in_the_middle_of_a_call_finishes_it(world: World) -> None:
    call_s = world.size(3, 20)
    world.endpoint.plain(code("0000", call_s))
    (worker,) = world.fleet.start(total_timeout_s=30, read_timeout_s=30)
    world.enqueue(4)
    world.until(lambda: len(world.endpoint.calls()) == 4)

    worker.signal(signal.SIGTERM)

    assert 0 == worker.wait(call_s + 10)
    findings = world.verdict("SIGTERM in mid call", faults=1)
    assert [] == findings.violations
    assert (4, 0) == (findings.charges, findings.ambiguous)


@pytest.mark.chaos_full
def test_a_second_sigterm_changes_nothing(world: World) -> None:
    call_s = 3
    world.endpoint.script(*[code("0000", call_s)] * 4)
    (worker,) = world.fleet.start(total_timeout_s=30, read_timeout_s=30)
    world.enqueue(8)
    world.until(lambda: len(world.endpoint.calls()) >= 4)

    worker.signal(signal.SIGTERM)
    time.sleep(0.5)
    worker.signal(signal.SIGTERM)
    assert 0 == worker.wait(call_s + 10)
    world.fleet.start()

    findings = world.verdict("a second SIGTERM", faults=2)
    assert [] == findings.violations
    assert (8, 0) == (findings.charges, findings.ambiguous)


@pytest.mark.chaos_any_broker
def test_sigquit_ends_the_worker_at_once_and_loses_nothing(world: World) -> None:
    world.endpoint.script(*[code("0000", 15)] * 4)
    (worker,) = world.fleet.start(total_timeout_s=30, read_timeout_s=30)
    world.enqueue(8)
    world.until(lambda: len(world.endpoint.calls()) >= 4)

    worker.signal(signal.SIGQUIT)
    worker.wait(ENDS_WITHIN_S)
    world.fleet.start()

    findings = world.verdict("SIGQUIT in mid call", faults=1)
    assert [] == findings.violations
    assert {"recognized": 8} == findings.ends


@pytest.mark.chaos_full
def test_sigquit_ends_a_worker_whatever_it_is_doing_as_messages_come_in(world: World) -> None:
    times = world.size(3, 12)
    world.endpoint.plain(code("0000", 1))
    for number in range(times):
        (worker,) = world.fleet.start()
        calls = len(world.endpoint.calls())
        world.enqueue(12, first=12 * number)
        world.until(lambda before=calls: len(world.endpoint.calls()) > before)
        time.sleep(world.chance.uniform(0, 0.1))
        worker.signal(signal.SIGQUIT)
        worker.wait(ENDS_WITHIN_S)
        assert "most recent call first" not in worker.log.read_text(), "it had to be ended by the last resort"
    world.fleet.start()

    findings = world.verdict("SIGQUIT as messages come in", faults=times, timeout_s=180)
    assert [] == findings.violations


def test_producers_see_no_error_while_a_fleet_is_replaced_one_by_one(world: World) -> None:
    world.endpoint.plain(code("0000", 0.2))
    world.fleet.start(3)
    with feeding(world, jobs=world.size(120, 800), per_s=25) as feeder:
        for _ in range(world.size(3, 12)):
            world.fleet.start()
            oldest = world.fleet.workers.pop(0)
            oldest.signal(signal.SIGTERM)
            assert 0 == oldest.wait(20)

    findings = world.verdict("rolling restart", faults=world.size(3, 12))
    assert [] == feeder.errors
    assert [] == findings.violations
    assert (len(world.accepted), 0) == (findings.charges, findings.ambiguous)
