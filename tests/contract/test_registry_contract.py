"""What worker.registry promises, over the fake Redis and a real one: it finds what a broker lost, and nothing else."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from fakes import message_of

from hmt_pass import keys
from hmt_pass.job import Job, Lane
from hmt_pass.producer import _REGISTER
from hmt_pass.status import State
from hmt_pass.store import Store
from worker.bookings import TAKE
from worker.claims import Claims
from worker.delayed import Delayed
from worker.leases import Leases
from worker.limits import Limits
from worker.queues import RedisQueues
from worker.registry import Registry

LEASE_S = 60.0
GRACE_S = 2 * LEASE_S
LONG_AGO_S = GRACE_S + 60


@dataclass
class Fleet:
    """A broker, and the jobs that were accepted, each moved `ago_s` seconds ago."""

    store: Store
    queues: RedisQueues = field(init=False)
    delayed: Delayed = field(init=False)
    claims: Claims = field(init=False)
    registry: Registry = field(init=False)

    def __post_init__(self) -> None:
        self.queues, self.delayed = RedisQueues(self.store), Delayed(self.store)
        self.claims = Claims(
            self.store, Leases(self.store, 30.0, 90.0), Limits(), worker="a-host:1", process="a-host:1"
        )
        self.registry = Registry(self.store, self.queues, self.delayed, LEASE_S)
        self.beat(since_s=LEASE_S)

    def accept(self, name: str, *, ago_s: float = LONG_AGO_S, lane: str = "interactive") -> Job:
        """Register a job as the producer does; its message is lost unless somebody publishes it."""
        job = Job.create(f"s3://photos/{name}.jpg", job_id=name, lane=lane, flag=3, etag="e1")
        names = [keys.job(name), keys.open_jobs(lane)]
        values = [str(job.image), 3, "e1", lane, "pinned", "2026-11-25T10:00:00.000+00:00", name]
        self.store.eval(_REGISTER, len(names), *names, *values)
        self.let_pass(job, ago_s)
        return job

    def beat(self, *, since_s: float) -> None:
        """The fleet's renewals have come without a gap for so long."""
        Leases(self.store, LEASE_S, 90.0).renew()
        began = float(self.store.hget(keys.CLAIMS_STEADY, "beat") or 0) - since_s
        self.store.hset(keys.CLAIMS_STEADY, "since", began)

    def publish(self, job: Job) -> None:
        self.queues.publish(message_of(job))

    def let_pass(self, job: Job, seconds: float) -> None:
        self.store.zincrby(keys.open_jobs(job.lane), -seconds, job.job_id)

    def reconcile(self) -> list[str]:
        """One round, whatever the lock says."""
        self.store.delete(keys.RECONCILER)
        return self.registry.reconcile("a-host:1", 30.0)

    def written(self, lane: Lane = Lane.INTERACTIVE) -> list[dict[str, Any]]:
        """The entries of a queue, the next one last."""
        return [json.loads(entry) for entry in self.store.lrange(lane.queue, 0, -1)]


@pytest.fixture
def fleet(store: Store) -> Fleet:
    return Fleet(store)


def test_a_job_whose_message_is_gone_is_written_anew_under_its_own_id(fleet: Fleet) -> None:
    job = fleet.accept("lost")

    assert ["lost"] == fleet.reconcile()

    [entry] = fleet.written()
    args, kwargs, _ = json.loads(base64.b64decode(entry["body"]))
    assert "hmt_pass.recognize" == entry["headers"]["task"]
    assert job == Job.from_message(entry["headers"]["id"], args, kwargs, "hmt_pass")


def test_a_job_is_written_once_however_many_rounds_are_made(fleet: Fleet) -> None:
    fleet.accept("lost")
    assert [["lost"], [], []] == [fleet.reconcile() for _ in range(3)]
    assert 1 == len(fleet.written())


def test_a_queue_that_is_only_long_is_left_alone(fleet: Fleet) -> None:
    for number in range(20):
        fleet.publish(fleet.accept(f"job-{number}"))
    assert [] == fleet.reconcile()
    assert 20 == len(fleet.written())


def test_a_lost_job_in_a_long_queue_is_found_when_its_turn_has_passed(fleet: Fleet) -> None:
    fleet.accept("lost", ago_s=1000)
    later = fleet.accept("later", ago_s=500)
    fleet.publish(later)
    fleet.publish(fleet.accept("last", ago_s=400))
    assert [] == fleet.reconcile()

    fleet.claims.claim(later)  # it was enqueued 500 s after the lost one

    assert ["lost"] == fleet.reconcile()


@pytest.mark.parametrize("how", ["delayed", "written anew"])
def test_a_job_that_is_claimed_out_of_turn_makes_nobody_look_overtaken(fleet: Fleet, how: str) -> None:
    early = fleet.accept("early", ago_s=1000)
    if how == "delayed":
        fleet.claims.moves("early", early.lane, 0.0)
    else:
        assert ["early"] == fleet.reconcile()
    waiting = fleet.accept("waiting", ago_s=500)
    fleet.publish(waiting)

    fleet.claims.claim(early)  # by its first message, which was there after all

    assert [] == fleet.reconcile()


def test_a_frontier_that_lies_ahead_makes_nobody_look_overtaken_and_the_next_claim_sets_it_right(fleet: Fleet) -> None:
    fleet.accept("lost", ago_s=1000)
    later = fleet.accept("later", ago_s=500)
    fleet.publish(later)
    fleet.publish(fleet.accept("last", ago_s=400))
    fleet.store.hset(keys.FRONTIER, "interactive", fleet.store.time()[0] + 3600)  # Redis's clock was an hour ahead
    assert [] == fleet.reconcile()

    fleet.claims.claim(later)

    assert ["lost"] == fleet.reconcile()


def test_a_job_that_was_enqueued_while_redis_clock_was_ahead_moves_no_frontier(fleet: Fleet) -> None:
    fleet.claims.claim(fleet.accept("ahead", ago_s=-3600))
    assert not fleet.store.exists(keys.FRONTIER)


def test_a_job_that_was_just_accepted_is_given_time(fleet: Fleet) -> None:
    fleet.accept("new", ago_s=GRACE_S - 10)
    assert [] == fleet.reconcile()


def test_a_claimed_job_is_not_lost(fleet: Fleet) -> None:
    job = fleet.accept("mine")
    fleet.claims.claim(job)
    fleet.let_pass(job, LONG_AGO_S)
    assert [] == fleet.reconcile()


def test_nothing_counts_as_lost_while_claims_may_have_lapsed_that_nobody_could_renew(fleet: Fleet) -> None:
    fleet.accept("lost")
    fleet.beat(since_s=LEASE_S / 2 - 5)
    assert [] == fleet.reconcile()
    fleet.beat(since_s=LEASE_S / 2 + 5)
    assert ["lost"] == fleet.reconcile()


def test_nothing_counts_as_lost_while_no_worker_renews(fleet: Fleet) -> None:
    fleet.accept("lost")
    fleet.store.hincrbyfloat(keys.CLAIMS_STEADY, "beat", -LEASE_S)
    assert [] == fleet.reconcile()
    fleet.store.delete(keys.CLAIMS_STEADY)
    assert [] == fleet.reconcile()


def test_a_gap_in_the_fleets_renewals_is_noticed_by_the_next_one(fleet: Fleet) -> None:
    fleet.accept("lost")
    fleet.store.hincrbyfloat(keys.CLAIMS_STEADY, "beat", -LEASE_S)
    Leases(fleet.store, LEASE_S, 90.0).renew()
    assert [] == fleet.reconcile()


def test_a_job_in_the_hands_of_a_worker_is_not_lost(fleet: Fleet) -> None:
    fleet.publish(fleet.accept("taken"))
    names = ["hmt_pass", keys.BOOKED, keys.BOOKED_BY_TIME]
    fleet.store.eval(TAKE, len(names), *names, "tag")
    assert [] == fleet.reconcile()


def test_a_job_that_waits_for_its_time_is_not_lost(fleet: Fleet) -> None:
    job = fleet.accept("waits")
    fleet.claims.moves("waits", job.lane, 50.0)
    fleet.delayed.put("waits", message_of(job), 50.0)
    fleet.let_pass(job, LONG_AGO_S + 50)
    assert [] == fleet.reconcile()


def test_a_lost_wait_is_found_once_it_is_over(fleet: Fleet) -> None:
    job = fleet.accept("waited")
    fleet.claims.moves("waited", job.lane, 50.0)
    fleet.let_pass(job, 100)
    assert [] == fleet.reconcile()
    fleet.let_pass(job, GRACE_S)
    assert ["waited"] == fleet.reconcile()


def test_a_job_with_an_end_is_taken_off_the_list(fleet: Fleet) -> None:
    job = fleet.accept("dead")
    fleet.store.hset(keys.job("dead"), "state", State.DEAD)
    assert ([], 0) == (fleet.reconcile(), fleet.store.zcard(keys.open_jobs(job.lane)))


def test_a_job_whose_hash_was_deleted_is_taken_off_the_list_and_the_round_goes_on(fleet: Fleet) -> None:
    job = fleet.accept("deleted", ago_s=LONG_AGO_S + 10)
    fleet.accept("lost")
    fleet.store.delete(keys.job("deleted"))
    fleet.claims.waits("deleted", State.RETRYING, "not connected")  # what its run left behind

    assert ["lost"] == fleet.reconcile()

    assert ["lost"] == fleet.store.zrange(keys.open_jobs(job.lane), 0, -1)
    assert ["lost"] == [entry["headers"]["id"] for entry in fleet.written()]


def test_every_lane_goes_by_its_own_queue(fleet: Fleet) -> None:
    fleet.accept("lost", lane="bulk")
    fleet.publish(fleet.accept("waits"))
    assert ["lost"] == fleet.reconcile()
    assert ["lost"] == [entry["headers"]["id"] for entry in fleet.written(Lane.BULK)]


def test_one_worker_in_the_fleet_looks_at_a_time(fleet: Fleet) -> None:
    fleet.accept("lost")
    fleet.store.set(keys.RECONCILER, "another worker", px=30_000)
    assert [] == fleet.registry.reconcile("a-host:1", 30.0)


def test_a_job_that_moved_while_it_was_looked_at_is_left_alone(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    job = fleet.accept("moved")

    def due_at(_: object, job_id: str) -> None:
        fleet.claims.moves(job_id, job.lane, 0.0)

    monkeypatch.setattr(Delayed, "due_at", due_at)
    assert [] == fleet.reconcile()


def test_open_jobs_are_counted_until_their_end(fleet: Fleet) -> None:
    fleet.accept("one")
    fleet.accept("two", lane="bulk")
    assert 2 == fleet.registry.count()
    fleet.claims.died("one", "a reason")
    assert 1 == fleet.registry.count()


def test_the_oldest_waiting_job_is_the_one_that_could_have_been_begun_first(fleet: Fleet) -> None:
    for name, ago_s in (("newer", 10), ("oldest", 300), ("old", 100)):
        fleet.accept(name, ago_s=ago_s)
    assert pytest.approx(300, abs=2) == fleet.registry.oldest_waiting_s(Lane.INTERACTIVE)
    assert 0 == fleet.registry.oldest_waiting_s(Lane.BULK)


def test_jobs_that_run_do_not_wait_however_many_they_are(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.registry.BATCH", 2)
    for number in range(5):
        job = fleet.accept(f"runs-{number}")
        fleet.claims.claim(job)
        fleet.let_pass(job, 1000)
    assert 0 == fleet.registry.oldest_waiting_s(Lane.INTERACTIVE)

    fleet.accept("waits", ago_s=50)
    assert pytest.approx(50, abs=2) == fleet.registry.oldest_waiting_s(Lane.INTERACTIVE)


def test_a_retried_job_waits_from_the_end_of_its_delay_on(fleet: Fleet) -> None:
    job = fleet.accept("retried", ago_s=1000)
    fleet.claims.moves("retried", job.lane, 30.0)
    assert 0 == fleet.registry.oldest_waiting_s(Lane.INTERACTIVE)
    fleet.let_pass(job, 70)
    assert pytest.approx(40, abs=2) == fleet.registry.oldest_waiting_s(Lane.INTERACTIVE)


def test_a_job_that_was_given_back_waits_from_its_claim_on(fleet: Fleet) -> None:
    job = fleet.accept("given-back", ago_s=1000)
    fleet.claims.release(fleet.claims.claim(job))
    fleet.let_pass(job, 20)
    assert pytest.approx(20, abs=2) == fleet.registry.oldest_waiting_s(Lane.INTERACTIVE)
