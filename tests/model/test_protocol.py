"""The protocol that makes a job safe to run twice, in every order that two workers, kills and lapses can bring about.

docs/reliability.md explains the model. HMT_PASS_MODEL=wide explores wider bounds, in minutes; -s shows the figures.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import structlog
from explorer import Bounds, Explorer, Report
from invariants import AGAIN, LOST, SECOND_END, STALE, TOO_DEAR
from stage import Stage

import tasks.recognize  # noqa: F401  before the stage looks for what tells the time
from hmt_pass import keys
from hmt_pass.job import Job
from worker.calls import Calls, End
from worker.claims import Claim, Claims

KILLED = Bounds(crashes=2)
KILLED_AND_COPIED = Bounds(crashes=1, redeliveries=1)
FROZEN = Bounds(lapses=1, redeliveries=1)
CUT_OFF = Bounds(losses=1, deliveries=2)
REPLACED_AND_KILLED = Bounds(uploads=1, crashes=1, deliveries=2)
REPLACED_AND_FROZEN = Bounds(uploads=1, lapses=1, deliveries=2)
QUICK = [KILLED, KILLED_AND_COPIED, CUT_OFF, FROZEN, REPLACED_AND_KILLED, REPLACED_AND_FROZEN]
WIDEST = Bounds(crashes=1, lapses=1, redeliveries=1)
WIDE = [
    Bounds(crashes=2, redeliveries=1),
    Bounds(lapses=2, redeliveries=1),
    WIDEST,
    Bounds(losses=1, crashes=1),
    Bounds(losses=2, deliveries=2),
    Bounds(uploads=1, crashes=1),
    Bounds(uploads=1, lapses=1, redeliveries=1),
    Bounds(uploads=1, lapses=1, crashes=1, deliveries=2),
    Bounds(uploads=1, lapses=1, losses=1, deliveries=2),
]
CHOSEN = WIDE if os.environ.get("HMT_PASS_MODEL") == "wide" else QUICK


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Ten thousand runs would log ten thousand stories; the tests after these find a logger that speaks."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False
    )
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
def stage() -> Stage:
    """One for all bounds: what one exploration has tried the next one knows."""
    return Stage()


def explored(stage: Stage, bounds: Bounds, *until: str) -> Report:
    report = Explorer(stage, bounds).explore(until)
    print(f"\n{bounds}\n{report}\n{report.story()}")  # noqa: T201  the figures of docs/reliability.md
    return report


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bounds", CHOSEN, ids=str)
def test_no_schedule_breaks_a_promise(stage: Stage, bounds: Bounds) -> None:
    report = explored(stage, bounds)
    assert {} == report.violations, report.story()


def test_a_kill_never_costs_a_reply_that_was_stored_and_one_kill_in_a_call_costs_one(stage: Stage) -> None:
    ends = explored(stage, Bounds(crashes=1)).ends
    assert {"recognized for 1", "recognized for 2"} == set(ends)


def test_without_a_copy_or_a_kill_there_is_one_schedule_and_one_charge(stage: Stage) -> None:
    report = explored(stage, Bounds())
    assert (1, {"recognized for 1"}) == (report.schedules, set(report.ends))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bounds", [WIDEST if CHOSEN is WIDE else Bounds(crashes=1)], ids=str)
def test_a_job_that_may_cost_no_second_call_is_dead_lettered_once(bounds: Bounds) -> None:
    report = explored(Stage(max_possibly_charged=1), bounds)
    assert {} == report.violations, report.story()
    assert "dead for 1" in report.ends


# What follows shows that the explorer can fail: each takes one part of the protocol away.


def test_without_the_receipt_a_kill_buys_a_reply_again(monkeypatch: pytest.MonkeyPatch) -> None:
    end = Calls.end

    def forgetful(self: Calls, claim: Claim, record: Mapping[str, Any], receipt: object, failure: str) -> End:
        del receipt
        return end(self, claim, record, None, failure)

    monkeypatch.setattr(Calls, "end", forgetful)
    report = explored(Stage(), Bounds(crashes=1), AGAIN)
    assert AGAIN in report.violations
    assert any("is killed" in line for line in report.violations[AGAIN])


def test_without_exclusive_claims_two_workers_pay_for_one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Claims.claim

    def greedy(self: Claims, job: Job) -> Claim:
        self._store.delete(keys.claim(job.job_id))
        return claim(self, job)

    monkeypatch.setattr(Claims, "claim", greedy)
    report = explored(Stage(dedupe_window_s=0), Bounds(redeliveries=1, deliveries=2), TOO_DEAR)
    assert TOO_DEAR in report.violations


def test_without_the_token_check_a_frozen_worker_ends_a_job_that_was_enqueued_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finish = Claims.finish

    def rude(self: Claims, claim: Claim, *args: Any, **more: Any) -> bool:  # noqa: ANN401  passed through
        self._store.hset(keys.job(claim.job.job_id), "claimed_by", claim.token)
        self._store.delete(keys.claim(claim.job.job_id))
        return finish(self, claim, *args, **more)

    monkeypatch.setattr(Claims, "finish", rude)
    report = explored(Stage(), REPLACED_AND_FROZEN, LOST, STALE, SECOND_END)
    assert {LOST, STALE, SECOND_END} & set(report.violations)


def test_the_claims_and_not_only_the_content_keep_a_second_worker_from_calling() -> None:
    report = explored(Stage(dedupe_window_s=0), Bounds(redeliveries=1, deliveries=2))
    assert {} == report.violations, report.story()
