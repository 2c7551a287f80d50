"""What worker.leases promises, and claims with it, over the fake Redis and a real one."""

import pytest
from clocks import Clock

from hmt_pass import keys
from hmt_pass.errors import StoreError
from hmt_pass.job import Job
from hmt_pass.status import State
from hmt_pass.store import Store
from worker.claims import MAX_DEATHS, Claims
from worker.leases import Leases
from worker.limits import Limits
from worker.outcomes import PoisonError, SnoozedError

JOB = Job.create("s3://photos/a.jpg", job_id="mine")
NEIGHBOUR = Job.create("s3://photos/b.jpg", job_id="neighbour")
DEADLINE_S = 90.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(store: Store, clock: Clock) -> Leases:
    return Leases(store, 30.0, DEADLINE_S, clock)


@pytest.fixture
def claims(store: Store, leases: Leases) -> Claims:
    return Claims(store, leases, Limits(), worker="a-host:1", process="a-host:1")


@pytest.fixture
def other(store: Store) -> Claims:
    return Claims(store, Leases(store, 30.0, DEADLINE_S), Limits(), worker="b-host:2", process="b-host:2")


def give_up_unheard(store: Store, claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claim the job and give it up while Redis does not answer."""
    claim = claims.claim(JOB)
    with monkeypatch.context() as outage:
        outage.setattr(type(store), "execute_command", _no_answer)
        with pytest.raises(StoreError):
            claims.release(claim)


def lapse(store: Store, *jobs: Job) -> None:
    """What time does to the claims of a worker that died."""
    store.delete(keys.SUSPECT, *(keys.claim(job.job_id) for job in jobs))


def nearly_lapse(store: Store, key: str) -> None:
    store.pexpire(key, 200)


def test_a_renewed_claim_has_its_full_time_again(store: Store, leases: Leases, claims: Claims) -> None:
    claims.claim(JOB)
    nearly_lapse(store, keys.claim("mine"))

    leases.renew()

    assert store.pttl(keys.claim("mine")) > 29_000


def test_the_content_that_a_job_reads_is_renewed_with_its_claim(store: Store, leases: Leases, claims: Claims) -> None:
    claims.look(claims.claim(JOB), "5a")
    nearly_lapse(store, keys.content_claim("5a", 0))

    leases.renew()

    assert store.pttl(keys.content_claim("5a", 0)) > 29_000


def test_another_workers_claim_is_not_renewed(store: Store, leases: Leases, claims: Claims) -> None:
    claims.claim(JOB)
    store.set(keys.claim("mine"), "the token of another worker", px=200)

    leases.renew()

    assert store.pttl(keys.claim("mine")) <= 200


def test_a_claim_that_lapsed_while_redis_was_away_is_held_again(store: Store, leases: Leases, claims: Claims) -> None:
    claims.look(claims.claim(JOB), "5a")
    lapse(store, JOB)
    store.delete(keys.content_claim("5a", 0))

    leases.renew()

    with pytest.raises(SnoozedError, match="claimed by another worker"):
        claims.claim(JOB)
    assert store.pttl(keys.content_claim("5a", 0)) > 29_000


def test_a_lapsed_claim_is_not_held_again_once_another_worker_has_had_the_job(
    store: Store, leases: Leases, claims: Claims
) -> None:
    claims.claim(JOB)
    lapse(store, JOB)
    other = Claims(store, Leases(store, 30.0, DEADLINE_S), Limits(), worker="b-host:2", process="b-host:2")
    other.release(other.claim(JOB))

    leases.renew()

    assert not store.exists(keys.claim("mine"))


def test_a_claim_on_a_job_that_runs_no_more_is_not_held_again(store: Store, leases: Leases, claims: Claims) -> None:
    claim = claims.claim(JOB)
    claims.waits("mine", State.RETRYING, "unanswered", claim=claim)
    lapse(store, JOB)

    leases.renew()

    assert not store.exists(keys.claim("mine"))


def test_the_leave_to_run_a_suspect_alone_is_not_taken_again(store: Store, leases: Leases, claims: Claims) -> None:
    claims.claim(JOB)
    lapse(store, JOB)

    leases.renew()

    assert not store.exists(keys.SUSPECT)


def test_an_overdue_claim_is_renewed_no_more_and_named(
    store: Store, leases: Leases, claims: Claims, clock: Clock
) -> None:
    claims.claim(JOB)
    nearly_lapse(store, keys.claim("mine"))
    clock.now_s += DEADLINE_S

    leases.renew()

    assert store.pttl(keys.claim("mine")) <= 200
    assert (["mine"], []) == (leases.overdue(), leases.overdue(slack_s=1.0))


def test_a_job_that_waits_for_redis_is_not_overdue(leases: Leases, claims: Claims, clock: Clock) -> None:
    claim = claims.claim(JOB)
    clock.now_s += DEADLINE_S

    claims.waits_long(claim)

    assert [] == leases.overdue()


def test_a_job_that_was_given_up_waits_again_and_is_nobodys_death(store: Store, leases: Leases, claims: Claims) -> None:
    claims.release(claims.claim(JOB))

    assert (State.QUEUED, 0, 0) == (claims.fields("mine")["state"], store.exists(keys.claim("mine")), leases.count())
    assert "deaths" not in claims.claim(JOB).fields


def test_a_release_that_redis_does_not_hear_is_said_again(
    store: Store, leases: Leases, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up_unheard(store, claims, monkeypatch)
    assert 1 == store.exists(keys.claim("mine"))

    leases.renew()

    assert (0, State.QUEUED) == (store.exists(keys.claim("mine")), claims.fields("mine")["state"])


def test_a_worker_that_finds_a_running_job_unclaimed_counts_a_death(store: Store, claims: Claims) -> None:
    claims.claim(JOB)
    lapse(store, JOB)

    assert "1" == claims.claim(JOB).fields["deaths"]


def test_a_job_whose_claim_was_never_answered_is_no_death_of_a_process_that_lives(
    store: Store, leases: Leases, claims: Claims, other: Claims
) -> None:
    leases.drop(claims.claim(JOB).token)
    lapse(store, JOB)

    leases.renew()

    assert "deaths" not in other.claim(JOB).fields


def test_a_job_that_was_given_up_while_redis_was_away_for_longer_than_its_lease_is_nobodys_death(
    store: Store, leases: Leases, claims: Claims, other: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up_unheard(store, claims, monkeypatch)
    lapse(store, JOB)

    leases.renew()
    store.delete(keys.sign_of_life(leases.process))  # and then it ends, as it should

    assert State.QUEUED == claims.fields("mine")["state"]
    assert "deaths" not in other.claim(JOB).fields


@pytest.mark.parametrize("lives", [True, False])
def test_no_death_is_counted_until_those_who_live_have_had_time_to_show_it(
    store: Store, leases: Leases, claims: Claims, other: Claims, lives: bool
) -> None:
    leases.drop(claims.claim(JOB).token)
    lapse(store, JOB)
    store.hset(keys.CLAIMS_STEADY, mapping={"beat": store.time()[0] - 60, "since": 1})  # Redis was away for a minute
    with pytest.raises(SnoozedError, match="claimed by another worker"):
        other.claim(JOB)
    Leases(store, 30.0, DEADLINE_S).renew()  # a third worker is the first that hears of Redis again
    with pytest.raises(SnoozedError, match="claimed by another worker"):
        other.claim(JOB)

    if lives:
        leases.renew()
    store.hset(keys.CLAIMS_STEADY, "since", 1)  # half a lease later

    assert (None if lives else "1") == other.claim(JOB).fields.get("deaths")


def test_a_sign_of_life_is_over_before_any_claim_that_was_renewed_with_it(
    store: Store, leases: Leases, claims: Claims
) -> None:
    claims.claim(JOB)
    leases.renew()
    assert 0 < store.pttl(keys.sign_of_life(leases.process)) < store.pttl(keys.claim("mine")) - 5_000


def test_a_process_with_an_overdue_job_shows_no_sign_of_life(
    store: Store, leases: Leases, claims: Claims, clock: Clock
) -> None:
    claims.claim(JOB)
    clock.now_s += DEADLINE_S
    leases.renew()
    assert not store.exists(keys.sign_of_life(leases.process))


@pytest.mark.parametrize("deaths", [0, MAX_DEATHS])
def test_a_job_whose_reply_is_paid_for_is_finished_however_often_workers_left_it(
    store: Store, claims: Claims, deaths: int
) -> None:
    claims.claim(JOB)
    store.hset(keys.job("mine"), "deaths", deaths)
    store.set(keys.receipt("mine"), '{"reply": "paid"}')
    store.set(keys.SUSPECT, "the token of another suspect")
    for _ in range(MAX_DEATHS):
        store.delete(keys.claim("mine"))
        claim = claims.claim(JOB)
        assert ({"reply": "paid"}, str(deaths)) == (claim.receipt, claim.fields["deaths"])


def test_after_three_deaths_the_job_is_poison(store: Store, claims: Claims) -> None:
    for _ in range(MAX_DEATHS):
        claims.claim(JOB)
        lapse(store, JOB)

    with pytest.raises(PoisonError, match=f"{MAX_DEATHS} workers died"):
        claims.claim(JOB)

    assert 0 == store.exists(keys.claim("mine"))


def test_jobs_that_workers_died_of_twice_run_one_at_a_time(store: Store, claims: Claims) -> None:
    for _ in range(2):
        claims.claim(JOB)
        claims.claim(NEIGHBOUR)
        lapse(store, JOB, NEIGHBOUR)
    suspect = claims.claim(JOB)

    with pytest.raises(SnoozedError, match="alone"):
        claims.claim(NEIGHBOUR)
    assert ("1", 0) == (claims.fields("neighbour")["deaths"], store.exists(keys.claim("neighbour")))

    claims.release(suspect)
    assert "2" == claims.claim(NEIGHBOUR).fields["deaths"]


def test_a_death_is_forgotten_when_somebody_redrives_the_job(store: Store, claims: Claims) -> None:
    claims.claim(JOB)
    lapse(store, JOB)
    claims.claim(JOB)
    claims.died("mine", "poison")

    claims.revive(["mine"], by="ann", name="june-outage")

    assert "deaths" not in claims.fields("mine")


def test_a_run_that_nobody_could_settle_counts_as_a_death(claims: Claims) -> None:
    assert [1, 2] == [claims.stumbles("mine") for _ in range(2)]


def _no_answer(*_: object, **__: object) -> object:
    raise StoreError("Redis: no answer")
