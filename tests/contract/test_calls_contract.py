"""What worker.calls promises, over the fake Redis and a real one: the attempts, the receipt, the turn, the books."""

import json
import time

import pytest
from callers import LEASE_S, Caller

from hmt_pass import keys
from hmt_pass.errors import StoreError
from hmt_pass.job import Job
from hmt_pass.status import State
from hmt_pass.store import Store
from worker.claims import MAX_DEATHS, Claim, Lifetimes
from worker.outcomes import BudgetSpentError, HeldError, PoisonError, SnoozedError, TurnError

JOB = Job.create("s3://photos/mine.jpg", job_id="mine")
SHA = "5a" * 32
PAID = {"reply": "paid", "name": "欧阳"}


@pytest.fixture
def one(store: Store) -> Caller:
    return Caller.on(store)


@pytest.fixture
def other(store: Store) -> Caller:
    return Caller.on(store, "b-host:2")


def finish(worker: Caller, claim: Claim) -> bool:
    fields = {"state": "recognized", "code": "0000", "result": "s3://photos/hmt-pass/mine.json"}
    times = Lifetimes(status_s=700, result_s=80, content_s=90)
    return worker.claims.finish(claim, fields, '{"a": 1}', sha256=SHA, address="s3://r/mine.json", lifetimes=times)


def lapse(store: Store) -> None:
    """What time does to the claim of a worker that froze or died."""
    store.delete(keys.claim("mine"))


# --- attempts and the receipt


def test_attempts_are_numbered_and_renew_the_claim(one: Caller, store: Store) -> None:
    claim = one.claims.claim(JOB)
    store.pexpire(keys.claim("mine"), 1000)
    first = one.calls.begin(claim).attempt
    one.end(claim, first, "1005")
    assert (1, 2) == (first, one.calls.begin(claim).attempt)
    assert store.pttl(keys.claim("mine")) > 25_000
    assert [(1, "mine-1"), (2, "mine-2")] == [
        (attempt["attempt"], attempt["sequence_id"]) for attempt in one.claims.attempts("mine")
    ]


def test_a_leave_lasts_as_long_as_the_lease_on_the_content(one: Caller, store: Store) -> None:
    claim = one.claims.claim(JOB)
    assert one.claims.look(claim, SHA) is None
    store.pexpire(keys.content_claim(SHA, 0), 1000)
    one.calls.begin(claim, SHA)
    assert store.pttl(keys.content_claim(SHA, 0)) > 25_000


@pytest.mark.parametrize("holder", ["", "another job's token"])
def test_a_call_does_not_begin_once_the_content_is_no_longer_ours(one: Caller, store: Store, holder: str) -> None:
    claim = one.claims.claim(JOB)
    one.claims.look(claim, SHA)
    store.delete(keys.content_claim(SHA, 0))
    if holder:
        store.set(keys.content_claim(SHA, 0), holder)
    with pytest.raises(SnoozedError, match="lost"):
        one.calls.begin(claim, SHA)
    assert [] == one.claims.attempts("mine")


def test_attempts_come_in_order_beyond_nine(one: Caller) -> None:
    claim = one.claims.claim(JOB)
    for _ in range(12):
        one.end(claim, one.calls.begin(claim).attempt, "1005")
    assert list(range(1, 13)) == [attempt["attempt"] for attempt in one.claims.attempts("mine")]


def test_a_lost_claim_makes_no_call(one: Caller, store: Store) -> None:
    claim = one.claims.claim(JOB)
    lapse(store)
    with pytest.raises(SnoozedError, match="lost"):
        one.calls.begin(claim)


def test_a_call_whose_leave_was_given_and_not_heard_is_begun_once(
    one: Caller, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = one.claims.claim(JOB)
    run, lost = store.evalsha, ["the first answer", "the second"]
    asked_s: list[float] = []

    def unheard(*args: object) -> object:
        asked_s.append(time.monotonic())
        store.pexpire(keys.claim("mine"), 1000)
        answer = run(*args)
        if lost:
            raise StoreError(f"Redis: the connection broke, with {lost.pop()}")
        return answer

    with monkeypatch.context() as cut:
        cut.setattr(store, "evalsha", unheard)
        leave = one.calls.begin(claim)
    assert store.pttl(keys.claim("mine")) > 25_000
    assert (1, True) == (leave.attempt, asked_s[-2] + LEASE_S < leave.ends_s <= asked_s[-1] + LEASE_S)
    assert ([], 1, 1) == (lost, len(one.claims.attempts("mine")), store.zcard(keys.IN_FLIGHT))
    assert one.end(claim, 1, receipt=PAID).is_ours
    assert 0 == claim.possibly_charged


def test_a_call_that_redis_gives_no_leave_for_is_asked_for_four_times(
    one: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = one.claims.claim(JOB)

    def silent(*_: object) -> object:
        raise StoreError("Redis: no answer")

    monkeypatch.setattr("hmt_pass.store.Store.evalsha", silent)
    with pytest.raises(StoreError, match="no answer"):
        one.calls.begin(claim)
    assert 3 == len(one.waits)


def test_nothing_is_claimed_or_called_during_a_hold(one: Caller) -> None:
    claim = one.claims.claim(JOB)
    one.hold.open("no money", by="a test")
    with pytest.raises(HeldError):
        one.claims.claim(Job.create("s3://photos/b.jpg"))
    with pytest.raises(HeldError):
        one.calls.begin(claim)
    assert [] == one.claims.attempts("mine")


def test_a_call_without_an_end_counts_as_possibly_charged_once(one: Caller, store: Store) -> None:
    claim, _ = one.begin()
    one.claims.release(claim)
    second = one.claims.claim(JOB)
    one.claims.release(second)
    assert (1, 1, 1) == (second.possibly_charged, second.attempts, one.claims.claim(JOB).possibly_charged)
    [attempt] = one.claims.attempts("mine")
    assert ("worker died", True) == (attempt["error"], attempt["possibly_charged"])
    assert attempt["started_at"] <= attempt["ended_at"]
    assert {"calls|worker died": "1", "possibly_charged": "1"} == store.hgetall(keys.TALLY)


def test_the_last_call_of_a_job_that_its_workers_die_of_is_listed_too(one: Caller, store: Store) -> None:
    for _ in range(MAX_DEATHS):
        one.begin()
        lapse(store)
        store.delete(keys.SUSPECT)
    with pytest.raises(PoisonError):
        one.claims.claim(JOB)
    assert ["worker died"] * MAX_DEATHS == [attempt["error"] for attempt in one.claims.attempts("mine")]
    assert MAX_DEATHS == store.xlen(keys.LEDGER)


def test_an_attempt_that_ended_does_not_count_as_died(one: Caller) -> None:
    one.call("mine")
    assert (0, ["0000"]) == (
        one.claims.claim(JOB).possibly_charged,
        [item["code"] for item in one.claims.attempts("mine")],
    )


def test_a_receipt_is_found_by_the_next_claim_and_has_its_time(one: Caller, store: Store) -> None:
    claim, attempt = one.begin()
    assert one.end(claim, attempt, receipt=PAID).is_ours
    one.claims.release(claim)
    assert PAID == one.claims.claim(JOB).receipt
    assert 0 < store.ttl(keys.receipt("mine")) <= 60


@pytest.mark.parametrize("order", [["late", "holder"], ["holder", "late"]])
def test_the_holders_receipt_stays_whenever_a_late_worker_writes_its_own(
    one: Caller, other: Caller, store: Store, order: list[str]
) -> None:
    late, late_attempt = one.begin()
    lapse(store)
    holder, attempt = other.begin()
    writes = {
        "late": lambda: one.end(late, late_attempt, receipt={"reply": "late"}).is_ours,
        "holder": lambda: other.end(holder, attempt, receipt={"reply": "the holder's"}).is_ours,
    }
    assert {"late": False, "holder": True} == {name: writes[name]() for name in order}
    other.claims.release(holder)
    assert {"reply": "the holder's"} == one.claims.claim(JOB).receipt


def test_a_late_reply_to_a_job_that_has_its_end_is_not_kept(one: Caller, other: Caller, store: Store) -> None:
    late, attempt = one.begin()
    lapse(store)
    finish(other, other.claims.claim(JOB))
    assert not one.end(late, attempt, receipt=PAID).is_ours
    assert ("0000", 0) == (one.claims.attempts("mine")[0]["code"], store.exists(keys.receipt("mine")))


def test_no_call_is_made_once_a_late_worker_has_stored_a_reply(one: Caller, other: Caller, store: Store) -> None:
    late, attempt = one.begin()
    lapse(store)
    theirs = other.claims.claim(JOB)
    assert not one.end(late, attempt, receipt=PAID).is_ours
    with pytest.raises(SnoozedError, match="stored meanwhile"):
        other.calls.begin(theirs)


def test_a_finished_job_keeps_its_result_and_nothing_else(one: Caller, store: Store) -> None:
    claim, attempt = one.begin()
    one.claims.look(claim, SHA)
    one.end(claim, attempt, receipt=PAID)
    one.claims.fail("mine", bounded=True)
    assert finish(one, claim)
    left = {key: store.ttl(key) for key in store.scan_iter("hmt_pass:[jc]o*")}
    assert {
        keys.job("mine"): 700,
        keys.attempts("mine"): 700,
        keys.result("mine"): 80,
        keys.content(SHA, 0): 90,
    } == left
    assert set() == one.claims.fields("mine").keys() & {"failures", "first_failure_at", "reason", "dead_at"}


def test_a_dead_job_comes_back_with_a_new_budget_and_its_attempts(one: Caller, store: Store) -> None:
    claim, _ = one.begin()
    one.claims.fail("mine", bounded=True)
    one.claims.died("mine", "exhausted: not connected")
    one.claims.release(claim)
    assert State.DEAD is State(one.claims.fields("mine")["state"])
    one.claims.drop(["mine"], 60)
    one.claims.revive(["mine"], by="ann", name="june-outage")
    again = one.claims.claim(JOB)
    assert (0, "1", "1") == (again.attempts, again.fields["attempts"], again.fields["redriven"])
    assert set() == again.fields.keys() & {"failures", "first_failure_at", "reason", "finished_at"}
    assert -1 == store.ttl(keys.job("mine"))


def test_the_state_of_a_discarded_job_goes_in_the_end(one: Caller, store: Store) -> None:
    claim, attempt = one.begin()
    one.end(claim, attempt, receipt=PAID)
    one.claims.died("mine", "exhausted: storage unavailable")
    assert 0 == one.claims.drop(["mine"], 60)
    assert [60, 60] == [store.ttl(keys.job("mine")), store.ttl(keys.attempts("mine"))]
    assert not store.exists(keys.receipt("mine"))


def test_a_job_that_is_under_way_loses_nothing_by_a_discard_not_even_its_receipt(one: Caller, store: Store) -> None:
    claim, attempt = one.begin()
    one.end(claim, attempt, receipt=PAID)
    assert 1 == one.claims.drop(["mine"], 60)
    assert (-1, True) == (store.ttl(keys.job("mine")), bool(store.exists(keys.receipt("mine"))))


# --- the turn


def begun(worker: Caller, calls: int, **options: object) -> list[str]:
    """Begin so many calls one after the other, and say of each whether it was told to wait, or to come later."""
    found = []
    for number in range(calls):
        waited = len(worker.waits)
        try:
            worker.begin(f"{options.get('lane', 'job')}-{number}", **options)
            found.append("waited" if len(worker.waits) > waited else "went")
        except TurnError:
            found.append("later")
    return found


def test_calls_below_the_limit_do_not_wait(store: Store) -> None:
    assert {"went"} == set(begun(Caller.on(store, rate_per_s=1000), 20))


def test_calls_beyond_the_limit_wait_for_a_place_in_the_row(store: Store) -> None:
    worker, began_s = Caller.on(store, rate_per_s=10), time.monotonic()
    found = begun(worker, 60)
    took_s = time.monotonic() - began_s
    assert "went" == found[0]
    assert 10 <= found.count("went") + found.count("waited") <= 10 * (took_s + 1.05) + 1
    assert "later" in found
    assert max(worker.waits) <= 1.0


def test_the_row_of_the_bulk_lane_is_shorter(store: Store) -> None:
    bulk, interactive = Caller.on(store, rate_per_s=20), Caller.on(store, "b-host:2", rate_per_s=20)
    assert {"later"} < set(begun(bulk, 60, lane="bulk"))
    assert "waited" in begun(interactive, 10)
    assert (True, True) == (max(bulk.waits) <= 0.25, max(interactive.waits) > 0.25)


def test_two_workers_share_one_limit(store: Store) -> None:
    one, other = Caller.on(store, rate_per_s=0.5), Caller.on(store, "b-host:2", rate_per_s=0.5)
    one.begin("theirs")
    with pytest.raises(TurnError):
        other.begin("ours")


def test_a_job_is_not_even_claimed_while_the_row_is_full(store: Store) -> None:
    worker = Caller.on(store, rate_per_s=2)
    begun(worker, 10)
    store.hset(keys.RATE, "due", time.time() + 3)
    with pytest.raises(TurnError) as caught:
        worker.claims.claim(JOB)
    assert 1 < caught.value.delay_s < 2


AN_HOUR_S = 3600  # Redis's clock was so far ahead for a moment


def test_a_place_further_ahead_than_the_row_is_long_counts_as_now(store: Store) -> None:
    worker = Caller.on(store, rate_per_s=10)
    store.hset(keys.RATE, "due", store.time()[0] + AN_HOUR_S)
    worker.begin("first")
    worker.begin("second")
    assert float(store.hget(keys.RATE, "due") or 0) < store.time()[0] + 2


@pytest.mark.parametrize(
    ("ahead", "gap_s"), [({"cut": 10, "cut_at": 1, "cuts": 1}, 1 / 10), ({"ramp_at": 1}, 64 / 640)], ids=["cut", "ramp"]
)
def test_a_cut_or_a_ramp_that_lies_ahead_begins_anew(store: Store, ahead: dict[str, float], gap_s: float) -> None:
    worker, now_s = Caller.on(store, rate_per_s=640), time.time()
    moments = dict.fromkeys(ahead.keys() & {"cut_at", "ramp_at"}, now_s + AN_HOUR_S)
    store.hset(keys.RATE, mapping={**ahead, **moments, "due": now_s + 0.5})
    worker.begin("one")
    for name in moments:
        assert pytest.approx(now_s, abs=5) == float(store.hget(keys.RATE, name) or 0)
    assert pytest.approx(gap_s, rel=0.2) == float(store.hget(keys.RATE, "due") or 0) - (now_s + 0.5)


def test_a_window_of_calls_that_lies_ahead_begins_anew(store: Store) -> None:
    worker = Caller.on(store)
    called_lately(store, 10, 1)
    store.hset(keys.RATE, "began_at", store.time()[0] + AN_HOUR_S)
    claim, attempt = worker.begin("one")
    assert float(store.hget(keys.RATE, "began_at") or 0) < store.time()[0] + 1
    store.hset(keys.RATE, "began_at", store.time()[0] + AN_HOUR_S)
    worker.end(claim, attempt, "1009")
    assert float(store.hget(keys.RATE, "began_at") or 0) < store.time()[0] + 1


def test_calls_that_began_while_redis_clock_was_ahead_take_no_place(store: Store) -> None:
    store.zadd(keys.IN_FLIGHT, {"of-the-dead-1": store.time()[0] + AN_HOUR_S})
    Caller.on(store, max_in_flight=1).begin("mine")
    assert ["mine-1"] == store.zrange(keys.IN_FLIGHT, 0, -1)


def test_so_many_calls_are_under_way_and_no_more(store: Store) -> None:
    worker = Caller.on(store, max_in_flight=2)
    first, attempt = worker.begin("a")
    worker.begin("b")
    with pytest.raises(TurnError):
        worker.begin("c")
    worker.end(first, attempt)
    worker.begin("d")
    assert 2 == store.zcard(keys.IN_FLIGHT)


def test_a_call_of_a_worker_that_died_takes_no_place_for_ever(store: Store) -> None:
    Caller.on(store, max_in_flight=1, call_s=0.05).begin("a")
    time.sleep(0.1)
    Caller.on(store, max_in_flight=1).begin("b")
    assert ["b-1"] == store.zrange(keys.IN_FLIGHT, 0, -1)


def test_the_bulk_lane_leaves_places_to_the_interactive_one(store: Store) -> None:
    worker = Caller.on(store, max_in_flight=10)
    for number in range(9):
        worker.begin(f"bulk-{number}", lane="bulk")
    with pytest.raises(TurnError):
        worker.begin("bulk-9", lane="bulk")
    worker.begin("interactive")


# --- 1009


def cut(store: Store) -> float | None:
    value = store.hget(keys.RATE, "cut")
    return float(value) if value else None


def called_lately(store: Store, begun: int, refused: int) -> None:
    """So many calls in the second that is over, and none in this one."""
    seconds, microseconds = store.time()
    now_s = seconds + microseconds / 1e6
    counts = {"begun": 0, "refused": 0, "begun_before": begun, "refused_before": refused}
    store.hset(keys.RATE, mapping={"began_at": now_s, **counts})


@pytest.mark.parametrize(
    ("begun", "refused", "low", "high"),
    [
        (100, 95, 3, 7),  # 5 a second were taken: so many, a little less
        (100, 49, 38, 48),
        (100, 19, 65, 75),
    ],
)
def test_a_1009_cuts_to_what_was_taken(store: Store, begun: int, refused: int, low: float, high: float) -> None:
    worker = Caller.on(store, rate_per_s=500)
    claim, attempt = worker.begin("told")
    called_lately(store, begun, refused)
    worker.end(claim, attempt, "1009")
    assert low <= (cut(store) or 0) <= high


@pytest.mark.parametrize(("begun", "refused"), [(100, 9), (10, 1)])
def test_a_few_refusals_that_may_have_nothing_to_do_with_the_rate_are_let_pass(
    store: Store, begun: int, refused: int
) -> None:
    worker = Caller.on(store, rate_per_s=500)
    claim, attempt = worker.begin("told")
    called_lately(store, begun, refused)
    worker.end(claim, attempt, "1009")
    assert cut(store) is None


def test_a_1009_that_comes_while_the_rate_is_low_already_raises_nothing(store: Store) -> None:
    worker = Caller.on(store, rate_per_s=500)
    claim, attempt = worker.begin("told")
    called_lately(store, 100, 60)
    store.hset(keys.RATE, mapping={"cut": 10, "cut_at": time.time(), "cuts": 1})
    worker.end(claim, attempt, "1009")
    assert (10, "1") == (cut(store), store.hget(keys.RATE, "cuts"))


def test_all_that_is_begun_in_one_moment_and_refused_cuts_deep(store: Store) -> None:
    worker = Caller.on(store, rate_per_s=500)
    calls = [worker.begin(f"job-{number}") for number in range(20)]
    for claim, attempt in calls:
        worker.end(claim, attempt, "1009")
    assert (cut(store) or 9) <= 2


def test_the_limit_grows_back_step_by_step(store: Store) -> None:
    worker = Caller.on(store, rate_per_s=500)
    for ago_s, gap_s in ((0, 1 / 10), (10, 1 / 25), (20, 1 / 40), (1000, 1 / 500)):
        store.hset(keys.RATE, mapping={"cut": 10, "cut_at": time.time() - ago_s, "cuts": 1, "due": time.time() + 0.5})
        due_s = float(store.hget(keys.RATE, "due") or 0)
        worker.begin(f"after-{ago_s}")
        assert float(store.hget(keys.RATE, "due") or 0) - due_s == pytest.approx(gap_s, rel=0.1)


def test_a_place_from_before_a_cut_is_void(store: Store) -> None:
    worker = Caller.on(store, rate_per_s=10)
    worker.calls._sleep = lambda _: store.hincrby(keys.RATE, "cuts", 1)  # type: ignore[assignment]  # noqa: SLF001
    worker.begin("first")
    with pytest.raises(TurnError):
        worker.begin("second")  # each place it gets is void when its time comes


# --- the books


def test_every_end_is_booked_by_code_charge_and_time(one: Caller, store: Store) -> None:
    one.call("a", "0000", ms=240)
    one.call("b", "1005", ms=6000)
    one.call("c", None, error="unanswered", possibly_charged=True, ms=30_001)
    assert {
        "calls|0000": "1",
        "calls|1005": "1",
        "calls|unanswered": "1",
        "charged": "1",
        "possibly_charged": "1",
        "latency_ms_sum": "36241",
        "latency_ms|250": "1",
        "latency_ms|10000": "1",
        "latency_ms|inf": "1",
    } == store.hgetall(keys.TALLY)
    assert ["a", "b", "c"] == [fields["job_id"] for _, fields in store.xrange(keys.LEDGER)]
    assert "unanswered" == json.loads(store.xrange(keys.LEDGER)[2][1]["call"])["error"]


def test_an_end_that_is_said_twice_is_booked_once(one: Caller, store: Store) -> None:
    claim, attempt = one.begin()
    for _ in range(2):
        assert one.end(claim, attempt, receipt=PAID).is_ours
    assert (1, "1") == (store.xlen(keys.LEDGER), store.hget(keys.TALLY, "charged"))


def test_the_truth_about_a_call_replaces_the_guess(one: Caller, other: Caller, store: Store) -> None:
    late, attempt = one.begin()
    lapse(store)
    other.claims.claim(JOB)  # takes the worker for dead
    one.end(late, attempt)
    tally = store.hgetall(keys.TALLY)
    assert ("1", "1", "1", "1") == tuple(
        tally[name] for name in ("calls|worker died", "possibly_charged", "calls|0000", "charged")
    )
    [day] = list(store.scan_iter(f"{keys.SPEND}:????-??-??"))
    assert {"calls": "1", "charged": "1", "possibly_charged": "0"} == store.hgetall(day)


def test_the_books_follow_the_day_of_the_vendor(store: Store) -> None:
    for hours in (-12, 14):
        Caller.on(store, f"host:{hours}", utc_offset_s=hours * 3600).call(f"at-{-hours}")
    days = sorted(key.removeprefix(f"{keys.SPEND}:") for key in store.scan_iter(f"{keys.SPEND}:*"))
    seconds, _ = store.time()
    expected = {
        time.strftime(form, time.gmtime(seconds + h * 3600)) for h in (-12, 14) for form in ("%Y-%m-%d", "%Y-%m")
    }
    assert sorted(expected) == days


@pytest.mark.parametrize(("budget", "period"), [("calls_a_day", "day"), ("calls_a_month", "month")])
def test_a_spent_budget_ends_the_calls(store: Store, budget: str, period: str) -> None:
    worker = Caller.on(store, **{budget: 2})
    worker.call("a")
    worker.call("b", None, error="unanswered", possibly_charged=True)
    with pytest.raises(BudgetSpentError, match=period):
        worker.begin("c")


def test_what_is_under_way_counts_against_the_budget_and_stops_nobody_for_good(store: Store) -> None:
    worker = Caller.on(store, calls_a_day=1)
    claim, attempt = worker.begin("a")
    with pytest.raises(TurnError):
        worker.begin("b")
    worker.end(claim, attempt, "1005")  # not charged after all
    worker.begin("c")
