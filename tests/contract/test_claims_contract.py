"""What worker.claims and worker.hold promise, over the fake Redis and a real one."""

import time

import pytest

from hmt_pass import keys
from hmt_pass.errors import JobConflictError
from hmt_pass.job import Job
from hmt_pass.permit import Flag
from hmt_pass.status import State
from hmt_pass.store import Store
from worker.claims import BEING_READ_S, LOOK_AGAIN_S, Claim, Claims, Lifetimes
from worker.leases import Leases
from worker.limits import Limits
from worker.outcomes import SnoozedError

JOB = Job.create("s3://photos/a.jpg", job_id="mine")
SHA = "5a" * 32
DOCUMENT = '{"a": "证"}'
LIFETIMES = Lifetimes(status_s=700, result_s=80, content_s=90)
ENDED = {"ended_at": "2026-11-22T10:00:01.000+00:00", "code": "0000", "request_id": "TID-1", "possibly_charged": False}


@pytest.fixture
def claims(store: Store) -> Claims:
    return Claims(store, Leases(store, 30.0, 90.0), Limits(), worker="a-host:1", process="a-host:1")


@pytest.fixture
def other(store: Store) -> Claims:
    return Claims(store, Leases(store, 30.0, 90.0), Limits(), worker="b-host:2", process="b-host:2")


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
    Claims(store, Leases(store, 0.05, 90.0), Limits(), worker="a-host:1", process="a-host:1").claim(JOB)
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


def test_a_finished_job_without_a_window_is_not_in_the_content_index(claims: Claims, store: Store) -> None:
    assert finish(claims, claims.claim(JOB), Lifetimes(700, 80, 0))
    assert not store.exists(keys.content(SHA, 0))


def test_a_job_whose_claim_expired_is_finished_all_the_same(claims: Claims, store: Store) -> None:
    claim = claims.claim(JOB)
    store.delete(keys.claim("mine"))
    assert finish(claims, claim)


def test_a_job_whose_hash_is_deleted_in_its_call_has_its_end_all_the_same(claims: Claims, store: Store) -> None:
    store.hset(keys.job("mine"), "generation", 1)
    claim = claims.claim(JOB)
    store.delete(keys.job("mine"))
    assert finish(claims, claim)
    assert State.RECOGNIZED == claims.fields("mine")["state"]
    assert 0 == store.zcard(keys.open_jobs(JOB.lane))


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


def test_a_job_that_is_not_dead_is_not_revived(claims: Claims) -> None:
    claims.claim(JOB)
    claims.revive(["mine"], by="ann", name="june-outage")
    assert ("running", None) == (claims.fields("mine")["state"], claims.fields("mine").get("redriven"))


def test_a_job_that_was_revived_and_not_claimed_can_be_dead_again_as_it_was(claims: Claims, store: Store) -> None:
    claims.release(claims.claim(JOB))
    claims.died("mine", "a reason")
    before = claims.fields("mine")
    claims.revive(["mine"], by="ann", name="june-outage")
    assert 1 == store.zcard(keys.open_jobs(JOB.lane))
    claims.unrevive(["mine"])
    after = claims.fields("mine")
    assert [before[name] for name in ("state", "reason", "finished_at")] == [
        after[name] for name in ("state", "reason", "finished_at")
    ]
    assert (0, True) == (store.zcard(keys.open_jobs(JOB.lane)), bool(store.sismember(keys.DEAD_JOBS, "mine")))


def test_a_job_that_was_claimed_since_it_was_revived_lives_on(claims: Claims) -> None:
    claims.died("mine", "a reason")
    claims.revive(["mine"], by="ann", name="june-outage")
    claim = claims.claim(JOB)
    claims.unrevive(["mine"])
    assert "running" == claims.fields("mine")["state"]
    claims.release(claim)
    claims.unrevive(["mine"])
    assert "queued" == claims.fields("mine")["state"]
