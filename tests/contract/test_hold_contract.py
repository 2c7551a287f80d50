"""What worker.hold promises, over the fake Redis and a real one: who may call while it is on, and how it ends."""

import time

import pytest
from callers import Caller

from hmt_pass import keys
from hmt_pass.store import Store
from worker.calls import Event
from worker.hold import Kind
from worker.outcomes import HeldError, TurnError

SOON = {"canary_after_s": (0.05, 30.0)}


@pytest.fixture
def one(store: Store) -> Caller:
    return Caller.on(store, **SOON)


@pytest.fixture
def other(store: Store) -> Caller:
    return Caller.on(store, "b-host:2", **SOON)


def run_dry(worker: Caller) -> None:
    """The account has no money left, and a canary is due."""
    worker.hold.open("no money", by="a-host:1", kind=Kind.CODE, code="9980", job_id="trigger", heals=True)
    time.sleep(0.1)


def test_a_hold_keeps_its_first_reason_until_it_is_released(one: Caller, store: Store) -> None:
    assert (None, False) == (one.hold.info(), one.hold.is_on())
    assert [True, False] == [one.hold.open(reason, by="me", code="9980", job_id="mine") for reason in ("余额不足", "b")]
    info = one.hold.info()
    assert info is not None
    assert ("余额不足", "me", "9980", "mine", True) == (info.reason, info.by, info.code, info.job_id, one.hold.is_on())
    assert -1 == store.ttl(keys.HOLD)
    assert [True, False] == [one.hold.release(by="me") for _ in range(2)]


def test_a_hold_that_is_over_is_remembered(one: Caller) -> None:
    assert one.hold.last() is None
    run_dry(one)
    one.hold.release(by="an operator")
    last = one.hold.last()
    assert last is not None
    assert ("no money", "an operator") == (last.reason, last.released_by)
    assert {"trigger"} == one.hold.died_of(last.incident)


def test_a_hold_by_hand_sends_no_canary(one: Caller) -> None:
    one.hold.open("maintenance", by="me")
    time.sleep(0.1)
    assert (False, False) == (one.hold.look().is_due, one.hold.take_canary())


def test_a_canary_is_due_that_was_put_off_before_redis_clock_was_set_back(one: Caller, store: Store) -> None:
    run_dry(one)
    store.hset(keys.HOLD, "canary_at", store.time()[0] + 29)
    assert not one.hold.look().is_due
    store.hset(keys.HOLD, "canary_at", store.time()[0] + 3600)
    assert (True, True) == (one.hold.look().is_due, one.hold.take_canary())


def test_one_worker_in_the_fleet_is_the_canary_when_it_is_due(one: Caller, other: Caller) -> None:
    one.hold.open("no money", by="a-host:1", kind=Kind.CODE, code="9980", heals=True)
    assert (False, False) == (one.hold.look().is_due, one.hold.take_canary())
    time.sleep(0.1)
    assert (True, True) == (one.hold.look().is_due, other.hold.look().is_due)
    assert [True, False] == [one.hold.take_canary(), other.hold.take_canary()]
    assert not other.hold.look().is_due


def test_the_canary_makes_one_call_and_nobody_else_any(one: Caller, other: Caller) -> None:
    run_dry(one)
    one.hold.take_canary()
    with pytest.raises(HeldError):
        other.begin("theirs")
    one.begin("ours")
    with pytest.raises(HeldError):
        one.begin("second")


def test_a_canary_that_is_served_ends_the_hold(one: Caller, other: Caller) -> None:
    run_dry(one)
    one.hold.take_canary()
    assert Event.HEALED is one.call("ours", "0000").event
    assert not other.hold.is_on()
    last = other.hold.last()
    assert last is not None
    assert "canary ours" == last.released_by


@pytest.mark.parametrize("code", ["1004", "1002", "1016", "1005"])
def test_any_answer_that_is_not_about_the_account_ends_the_hold(one: Caller, code: str) -> None:
    run_dry(one)
    one.hold.take_canary()
    assert Event.HEALED is one.call("ours", code).event


@pytest.mark.parametrize("code", ["9980", "1000", "1009", "9999", "4711"])
def test_a_canary_that_is_refused_leaves_the_hold_for_the_next_delay(one: Caller, other: Caller, code: str) -> None:
    run_dry(one)
    one.hold.take_canary()
    assert Event.STILL_ILL is one.call("ours", code).event
    look = other.hold.look()
    assert look.info is not None
    assert (1, code, None, False) == (look.info.tries, look.info.answer, look.info.canary, look.is_due)
    assert 25 < (look.info.canary_at or 0) - time.time() < 31


def test_a_canary_that_is_not_answered_leaves_the_hold(one: Caller) -> None:
    run_dry(one)
    one.hold.take_canary()
    assert Event.STILL_ILL is one.call("ours", None, error="unanswered", possibly_charged=True).event
    assert one.hold.is_on()


def test_another_worker_may_try_when_the_canary_has_died(store: Store, other: Caller) -> None:
    one = Caller.on(store, call_s=0.02, **SOON)
    run_dry(one)
    one.hold.take_canary()
    one.begin("ours")
    time.sleep(0.1)
    assert other.hold.take_canary()
    assert Event.HEALED is other.call("theirs").event


def test_a_release_by_hand_under_the_canary_is_final(one: Caller, other: Caller) -> None:
    run_dry(one)
    one.hold.take_canary()
    claim, attempt = one.begin("ours")
    other.hold.release(by="an operator")
    assert Event.NOTHING is one.end(claim, attempt, "9980").event
    assert not one.hold.is_on()


def test_after_a_hold_the_calls_come_bit_by_bit(store: Store) -> None:
    worker = Caller.on(store, rate_per_s=64)
    worker.hold.open("no money", by="me")
    worker.hold.release(by="me")
    worker.begin("first")
    worker.begin("second")
    with pytest.raises(TurnError):
        worker.begin("third")  # one a second
    store.hset(keys.RATE, mapping={"ramp_at": time.time() - 31, "due": 0})
    for number in range(20):
        worker.begin(f"later-{number}")


def test_a_release_can_be_at_once(store: Store) -> None:
    worker = Caller.on(store, rate_per_s=64)
    worker.hold.open("no money", by="me")
    worker.hold.release(by="me", at_once=True)
    for number in range(20):
        worker.begin(f"job-{number}")


def test_equal_failures_in_a_row_are_one_too_many_in_the_end(store: Store) -> None:
    worker = Caller.on(store, hold_after_failures=3)
    failure = "unknown code 4711"
    events = [worker.call(f"job-{number}", "4711", failure=failure).event for number in range(3)]
    assert [Event.NOTHING, Event.NOTHING, Event.FAILING] == events
    worker.hold.open("again", by="me", kind=Kind.FAILURES, failure=failure, job_id="job-2", heals=True)
    info = worker.hold.info()
    assert info is not None
    assert {"job-0", "job-1", "job-2"} == worker.hold.died_of(info.incident)


@pytest.mark.parametrize(("code", "failure"), [("0000", ""), ("1004", ""), ("4712", "unknown code 4712")])
def test_another_answer_ends_the_row(store: Store, code: str, failure: str) -> None:
    worker = Caller.on(store, hold_after_failures=2)
    worker.call("a", "4711", failure="unknown code 4711")
    worker.call("b", code, failure=failure)
    assert Event.NOTHING is worker.call("c", "4711", failure="unknown code 4711").event


def test_calls_that_were_under_way_when_failures_opened_a_hold_are_known_as_more_of_the_same(store: Store) -> None:
    worker = Caller.on(store)
    claim, attempt = worker.begin("under-way")
    worker.hold.open("again", by="me", kind=Kind.FAILURES, failure="unknown code 4711", heals=True)
    assert Event.FAILING is worker.end(claim, attempt, "4711", failure="unknown code 4711").event


def test_failures_that_no_call_shows_count_too(store: Store) -> None:
    worker = Caller.on(store, hold_after_failures=2)
    assert [False, False, True] == [worker.hold.failed(bug, "a") for bug in ("bug: A", "bug: B", "bug: B")]
    worker.hold.open("again", by="me", kind=Kind.FAILURES, failure="bug: B")
    assert (True, False) == (worker.hold.failed("bug: B", "c"), worker.hold.look().is_due)


def test_a_release_for_one_kind_leaves_the_others(one: Caller) -> None:
    one.hold.open("no money", by="me")
    assert [False, True] == [one.hold.release(by="budget", kind=kind) for kind in (Kind.BUDGET, Kind.HAND)]
