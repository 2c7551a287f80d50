"""What worker.claims and worker.hold promise, over the fake Redis and a real one."""

import json
import time
from typing import Any

import pytest

from hmt_pass import keys
from hmt_pass.errors import JobConflictError
from hmt_pass.job import Job
from hmt_pass.permit import Flag
from hmt_pass.status import State
from hmt_pass.store import Store
from worker.claims import BEING_READ_S, LOOK_AGAIN_S, Claim, Claims, Lifetimes
from worker.hold import Hold
from worker.leases import Leases
from worker.outcomes import HeldError, SnoozedError

JOB = Job.create("s3://photos/a.jpg", job_id="mine")
SHA = "5a" * 32
DOCUMENT = '{"a": "证"}'
LIFETIMES = Lifetimes(status_s=700, result_s=80, content_s=90)
ENDED = {"ended_at": "2026-11-22T10:00:01.000+00:00", "code": "0000", "request_id": "TID-1", "possibly_charged": False}


@pytest.fixture
def claims(store: Store) -> Claims:
    return Claims(store, Leases(store, 30.0, 90.0), worker="a-host:1", receipt_ttl_s=60)


@pytest.fixture
def other(store: Store) -> Claims:
    return Claims(store, Leases(store, 30.0, 90.0), worker="b-host:2", receipt_ttl_s=60)


def finish(claims: Claims, claim: Claim, lifetimes: Lifetimes = LIFETIMES) -> bool:
    fields = {"state": "recognized", "code": "0000", "result": "s3://photos/hmt-pass/mine.json"}
    return claims.finish(claim, fields, DOCUMENT, sha256=SHA, address="s3://r/mine.json", lifetimes=lifetimes)


def test_one_of_two_workers_gets_the_claim(claims: Claims, other: Claims) -> None:
    claims.claim(JOB)
    with pytest.raises(SnoozedError, match="claimed by another worker") as caught:
        other.claim(JOB)
    assert LOOK_AGAIN_S == caught.value.delay_s


def test_a_claimed_job_is_running_and_says_where(claims: Claims) -> None:
    claim = claims.claim(JOB)
    assert (State.RUNNING, 0, 0, None) == (claim.state, claim.attempts, claim.possibly_charged, claim.receipt)
    fields = claims.fields("mine")
    assert {
        "state": "running",
        "image": "s3://photos/a.jpg",
        "hmt_flag": "0",
        "lane": "interactive",
        "worker": "a-host:1",
        "moved": "1",
        "claimed_by": claim.token,
        "started_at": fields["started_at"],
    } == fields


def test_a_claim_ends_by_itself(store: Store, other: Claims) -> None:
    Claims(store, Leases(store, 0.05, 90.0), worker="a-host:1", receipt_ttl_s=60).claim(JOB)
    time.sleep(0.1)
    assert State.RUNNING is other.claim(JOB).state


def test_a_released_claim_is_free_and_only_its_holder_can_release_it(claims: Claims, other: Claims) -> None:
    claim = claims.claim(JOB)
    stranger = Claim(JOB, "another token", {}, None)
    other.release(stranger)
    assert (True, False) == (claims.holds(claim), other.holds(stranger))
    claims.release(claim)
    assert not claims.holds(claim)
    other.claim(JOB)


@pytest.mark.parametrize(
    "other_job",
    [Job.create("s3://photos/b.jpg", job_id="mine"), Job.create("s3://photos/a.jpg", Flag.TAIWAN, job_id="mine")],
)
def test_an_id_stands_for_one_image_and_flag(claims: Claims, other_job: Job) -> None:
    claims.release(claims.claim(JOB))
    with pytest.raises(JobConflictError):
        claims.claim(other_job)


def test_nothing_is_claimed_or_called_during_a_hold(claims: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    Hold(store).open("no money", by="a test")
    with pytest.raises(HeldError):
        claims.claim(Job.create("s3://photos/b.jpg"))
    with pytest.raises(HeldError):
        claims.intend(claim)
    assert 0 == len(claims.attempts("mine"))


def test_no_call_is_made_during_a_pause(claims: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    Hold(store).pause(20.0)
    with pytest.raises(SnoozedError, match="fewer calls") as caught:
        claims.intend(claim)
    assert 19 < caught.value.delay_s <= 40  # up to twice as long, so that not all come back at once


def test_a_pause_is_not_prolonged_by_those_who_ran_into_it_too(store: Store) -> None:
    hold = Hold(store)
    hold.pause(0.05)
    hold.pause(500.0)
    time.sleep(0.1)
    assert not store.exists(keys.PAUSE)


def test_attempts_are_numbered_and_renew_the_claim(claims: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    store.pexpire(keys.claim("mine"), 1000)
    assert [1, 2] == [claims.intend(claim), claims.intend(claim)]
    assert store.pttl(keys.claim("mine")) > 25_000
    assert [(1, "mine-1"), (2, "mine-2")] == [
        (attempt["attempt"], attempt["sequence_id"]) for attempt in claims.attempts("mine")
    ]


def test_a_lost_claim_makes_no_call(claims: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    store.delete(keys.claim("mine"))
    with pytest.raises(SnoozedError, match="lost"):
        claims.intend(claim)


def test_attempts_come_in_order_beyond_nine(claims: Claims) -> None:
    claim = claims.claim(JOB)
    for _ in range(12):
        claims.intend(claim)
    assert list(range(1, 13)) == [attempt["attempt"] for attempt in claims.attempts("mine")]


def test_an_intent_without_an_end_counts_as_possibly_charged_once(claims: Claims) -> None:
    claim = claims.claim(JOB)
    claims.intend(claim)
    claims.release(claim)
    second = claims.claim(JOB)
    claims.release(second)
    assert (1, 1, 1) == (second.possibly_charged, second.attempts, claims.claim(JOB).possibly_charged)
    [attempt] = claims.attempts("mine")
    assert ("worker died", True) == (attempt["error"], attempt["possibly_charged"])
    assert attempt["started_at"] <= attempt["ended_at"]


def test_a_recorded_attempt_does_not_count_as_died(claims: Claims) -> None:
    claim = claims.claim(JOB)
    claims.record(claim, {**ENDED, "attempt": claims.intend(claim)}, None)
    claims.release(claim)
    assert (0, ["0000"]) == (claims.claim(JOB).possibly_charged, [item["code"] for item in claims.attempts("mine")])


def test_a_receipt_is_found_by_the_next_claim(claims: Claims) -> None:
    claim = claims.claim(JOB)
    claims.record(claim, {**ENDED, "attempt": claims.intend(claim)}, {"reply": "paid", "name": "欧阳"})
    claims.release(claim)
    assert {"reply": "paid", "name": "欧阳"} == claims.claim(JOB).receipt


@pytest.mark.parametrize("order", [["late", "holder"], ["holder", "late"]])
def test_the_holders_receipt_stays_whenever_a_late_worker_writes_its_own(
    claims: Claims, other: Claims, store: Store, order: list[str]
) -> None:
    late = claims.claim(JOB)
    late_attempt = claims.intend(late)
    store.delete(keys.claim("mine"))
    holder = other.claim(JOB)
    attempt = other.intend(holder)
    writes = {
        "late": lambda: claims.record(late, {**ENDED, "attempt": late_attempt}, {"reply": "late"}),
        "holder": lambda: other.record(holder, {**ENDED, "attempt": attempt}, {"reply": "the holder's"}),
    }
    assert {"late": False, "holder": True} == {name: writes[name]() for name in order}
    other.release(holder)
    assert {"reply": "the holder's"} == claims.claim(JOB).receipt


def test_a_finished_job_keeps_its_result_and_nothing_else(claims: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    claims.look(claim, SHA)
    claims.record(claim, {**ENDED, "attempt": claims.intend(claim)}, {"reply": "paid"})
    claims.fail("mine", bounded=True)
    assert finish(claims, claim)
    left = {key: store.ttl(key) for key in store.scan_iter()}
    assert {
        keys.job("mine"): 700,
        keys.attempts("mine"): 700,
        keys.result("mine"): 80,
        keys.content(SHA, 0): 90,
    } == left
    assert (DOCUMENT, "s3://r/mine.json") == (store.get(keys.result("mine")), store.get(keys.content(SHA, 0)))
    assert set() == claims.fields("mine").keys() & {"failures", "first_failure_at", "reason", "dead_at"}


def test_a_finished_job_without_a_window_is_not_in_the_content_index(claims: Claims, store: Store) -> None:
    assert finish(claims, claims.claim(JOB), Lifetimes(700, 80, 0))
    assert not store.exists(keys.content(SHA, 0))


def test_a_job_whose_claim_expired_is_finished_all_the_same(claims: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    store.delete(keys.claim("mine"))
    assert finish(claims, claim)


def test_a_job_that_another_worker_took_over_is_not_finished(claims: Claims, other: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    store.delete(keys.claim("mine"))
    theirs = other.claim(JOB)
    assert not finish(claims, claim)
    assert (True, False) == (other.holds(theirs), bool(store.exists(keys.result("mine"))))


def test_a_late_worker_finishes_nothing_even_when_nobody_holds_the_claim(
    claims: Claims, other: Claims, store: Store
) -> None:
    late = claims.claim(JOB)
    store.delete(keys.claim("mine"))
    assert finish(other, other.claim(JOB))
    assert not finish(claims, late)


def test_a_late_worker_writes_nothing_about_a_job_that_another_has_claimed_since(
    claims: Claims, other: Claims, store: Store
) -> None:
    late = claims.claim(JOB)
    store.delete(keys.claim("mine"))
    other.claim(JOB)
    for write in (
        lambda: claims.waits("mine", State.RETRYING, "a reason", claim=late),
        lambda: claims.died("mine", "a reason", claim=late),
    ):
        with pytest.raises(SnoozedError, match="lost to another worker"):
            write()
    assert State.RUNNING == claims.fields("mine")["state"]


def test_a_late_reply_to_a_job_that_has_its_end_is_not_kept(claims: Claims, other: Claims, store: Store) -> None:
    late = claims.claim(JOB)
    attempt = claims.intend(late)
    store.delete(keys.claim("mine"))
    finish(other, other.claim(JOB))
    assert not claims.record(late, {**ENDED, "attempt": attempt}, {"reply": "paid"})
    assert ("0000", 0) == (claims.attempts("mine")[0]["code"], store.exists(keys.receipt("mine")))


def test_no_call_is_made_once_a_late_worker_has_stored_a_reply(claims: Claims, other: Claims, store: Store) -> None:
    late = claims.claim(JOB)
    attempt = claims.intend(late)
    store.delete(keys.claim("mine"))
    theirs = other.claim(JOB)
    assert not claims.record(late, {**ENDED, "attempt": attempt}, {"reply": "paid"})
    with pytest.raises(SnoozedError, match="stored meanwhile"):
        other.intend(theirs)


@pytest.mark.parametrize("state", ["recognized", "rejected", "dead"])
def test_claiming_a_job_that_has_its_end_leaves_its_state(claims: Claims, store: Store, state: str) -> None:
    store.hset(keys.job("mine"), "state", state)
    assert state == claims.claim(JOB).state
    assert {"state", "claimed_by"} == claims.fields("mine").keys()
    assert state == claims.fields("mine")["state"]


def test_one_job_has_a_content_read_and_others_wait(claims: Claims, other: Claims) -> None:
    one, two = claims.claim(JOB), other.claim(Job.create("s3://photos/b.jpg"))
    assert claims.look(one, SHA) is None
    with pytest.raises(SnoozedError, match="the same image") as caught:
        other.look(two, SHA)
    assert BEING_READ_S == caught.value.delay_s
    other.release(two)
    with pytest.raises(SnoozedError):
        other.look(two, SHA)
    claims.release(one)
    assert other.look(two, SHA) is None


def test_the_same_content_for_another_flag_is_another_reading(claims: Claims) -> None:
    taiwan = Job.create("s3://photos/a.jpg", Flag.TAIWAN)
    assert claims.look(claims.claim(JOB), SHA) is None
    assert claims.look(claims.claim(taiwan), SHA) is None


def test_a_reading_is_known_until_it_is_forgotten(claims: Claims) -> None:
    claim = claims.claim(JOB)
    finish(claims, claim)
    later = claims.claim(Job.create("s3://photos/b.jpg"))
    assert "s3://r/mine.json" == claims.look(later, SHA)
    claims.forget(later, SHA)
    assert claims.look(later, SHA) is None


def test_failures_are_counted_with_the_age_of_the_first(claims: Claims, store: Store) -> None:
    assert (1, 0.0) == (claims.fail("mine", bounded=True)[0], round(claims.fail("mine", bounded=True)[1]))
    store.hset(keys.job("mine"), "first_failure_at", "2026-01-01T00:00:00.000+00:00")
    failures, age_s = claims.fail("mine", bounded=True)
    assert (3, True) == (failures, age_s > 10_000)


def test_snoozes_are_counted_apart_from_failures(claims: Claims) -> None:
    assert [0, 1, 2] == [claims.snooze("mine") for _ in range(3)]
    assert 1 == claims.fail("mine", bounded=True)[0]


def test_a_waiting_job_says_why(claims: Claims) -> None:
    claims.waits("mine", State.RETRYING, "not connected")
    fields = claims.fields("mine")
    assert ("retrying", "not connected") == (fields["state"], fields["reason"])


def test_a_dead_job_comes_back_with_a_new_budget_and_its_attempts(claims: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    claims.intend(claim)
    claims.fail("mine", bounded=True)
    claims.died("mine", "exhausted: not connected")
    claims.release(claim)
    assert State.DEAD is State(claims.fields("mine")["state"])
    claims.expire("mine", 60)
    claims.revive("mine")
    again = claims.claim(JOB)
    assert (0, "1", "1") == (again.attempts, again.fields["attempts"], again.fields["redriven"])
    assert set() == again.fields.keys() & {"failures", "first_failure_at", "reason", "finished_at"}
    assert -1 == store.ttl(keys.job("mine"))


def test_the_state_of_a_discarded_job_goes_in_the_end(claims: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    claims.record(claim, {**ENDED, "attempt": claims.intend(claim)}, {"reply": "paid"})
    claims.expire("mine", 60)
    assert [60, 60] == [store.ttl(keys.job("mine")), store.ttl(keys.attempts("mine"))]
    assert not store.exists(keys.receipt("mine"))


def test_a_receipt_does_not_outlive_its_time(claims: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    claims.record(claim, {**ENDED, "attempt": claims.intend(claim)}, {"reply": "paid"})
    assert 0 < store.ttl(keys.receipt("mine")) <= 60


def test_a_job_that_is_not_dead_is_not_revived(claims: Claims) -> None:
    claims.claim(JOB)
    claims.revive("mine")
    assert ("running", None) == (claims.fields("mine")["state"], claims.fields("mine").get("redriven"))


def test_a_hold_keeps_its_first_reason_until_it_is_released(store: Store) -> None:
    hold = Hold(store)
    assert (hold.info(), hold.is_on()) == (None, False)
    assert [True, False] == [hold.open(reason, by="me", code="9980", job_id="mine") for reason in ("余额不足", "b")]
    info: Any = hold.info()
    assert ("余额不足", "me", "9980", "mine", True) == (info.reason, info.by, info.code, info.job_id, hold.is_on())
    assert info.as_dict() == json.loads(store.get(keys.HOLD) or "")
    assert -1 == store.ttl(keys.HOLD)
    assert [True, False] == [hold.release(), hold.release()]
