"""The auditor of the chaos suite must see what it is there for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from chaos.auditor import LOST, MONEY, PAID_TWICE, RESULT, TWICE, audit
from chaos.facts import Facts, JobFacts
from chaos.scripted import Call
from chaos.scripted_server import card_number

SHA = "ab" * 32


def record(job_id: str = "one", attempt: int = 1, **changes: object) -> dict[str, Any]:
    times = {"started_at": f"2026-01-01T00:00:{attempt:02}", "ended_at": f"2026-01-01T00:00:{attempt:02}.5"}
    paid = {"charge": 1, "code": "0000", "error": None, "possibly_charged": False, **times}
    return {"attempt": attempt, "sequence_id": f"{job_id}-{attempt}", **paid, **changes}


def unanswered(attempt: int = 1) -> dict[str, Any]:
    return record(attempt=attempt, charge=None, code=None, error="worker died", possibly_charged=True)


def call(job_id: str = "one", attempt: int = 1, *, charged: bool = True, sha256: str = SHA) -> Call:
    code = "0000" if charged else "9999"
    return Call(f"{job_id}-{attempt}", sha256, "answer", code, charged, 0.0, f"T{job_id}{attempt}")


def document(job_id: str = "one", **changes: object) -> dict[str, Any]:
    reading = {"source": {"sha256": SHA}, "permit": {"cardNum": card_number(SHA)}, "request_id": f"T{job_id}1"}
    return {"job_id": job_id, "state": "recognized", **reading, **changes}


def recognized(job_id: str = "one", *attempts: dict[str, Any], result: Mapping[str, Any] | None = None) -> JobFacts:
    return JobFacts({"state": "recognized"}, attempts or (record(job_id),), result or document(job_id))


def facts(**changes: Any) -> Facts:  # noqa: ANN401  fields of Facts
    """One job that was read, paid for once, and stored: nothing to find fault with."""
    sound = Facts(accepted=["one"], jobs={"one": recognized()}, objects={"one": document()}, calls=(call(),))
    return replace(sound, **changes)


def kinds(judged: Facts) -> list[str]:
    return [violation.kind for violation in audit(judged).violations]


def test_a_sound_run_has_nothing_to_report() -> None:
    findings = audit(facts())

    assert [] == findings.violations
    assert (1, {"recognized": 1}, 1, 0, 0, 0) == (
        findings.jobs,
        findings.ends,
        findings.charges,
        findings.lost,
        findings.paid_twice,
        findings.ambiguous,
    )


@pytest.mark.parametrize("state", ["queued", "running", "retrying"])
def test_a_job_that_has_no_end_when_all_was_to_be_done_is_lost(state: str) -> None:
    stuck = facts(jobs={"one": JobFacts({"state": state})}, objects={}, calls=(), waiting=("one",))

    assert [LOST] == kinds(stuck)


def test_a_job_that_redis_does_not_know_is_lost() -> None:
    assert [LOST] == kinds(facts(accepted=["one", "two"]))


def test_an_unfinished_run_may_leave_a_message_but_not_a_job_without_one() -> None:
    waiting = facts(jobs={"one": JobFacts({"state": "queued"})}, objects={}, calls=(), drained=False)

    assert [LOST] == kinds(waiting)
    assert [] == kinds(replace(waiting, waiting=("one",)))
    assert [] == kinds(replace(waiting, open_jobs=frozenset({"one"})))


def test_a_message_that_is_left_for_a_job_that_has_ended_is_seen() -> None:
    assert [TWICE] == kinds(facts(waiting=("one",)))


def test_a_dead_job_needs_its_dead_letter() -> None:
    dead = facts(jobs={"one": JobFacts({"state": "dead"})}, objects={}, calls=())

    assert [LOST] == kinds(dead)
    assert [] == kinds(replace(dead, letters={"one": "poison"}, dead_messages=("one",)))


def test_a_dead_letter_of_a_recognized_job_and_a_doubled_one_are_seen() -> None:
    assert [TWICE] == kinds(facts(letters={"one": "poison"}, dead_messages=("one",)))
    dead = facts(jobs={"one": JobFacts({"state": "dead"})}, objects={}, calls=(), letters={"one": "poison"})
    assert [TWICE] == kinds(replace(dead, dead_messages=("one", "one")))


def test_a_job_that_has_ended_must_not_be_among_the_open_ones() -> None:
    assert [TWICE] == kinds(facts(open_jobs=frozenset({"one"})))


def test_a_reply_that_was_stored_and_bought_again_is_seen() -> None:
    job = recognized("one", record(), record(attempt=2))

    findings = audit(facts(jobs={"one": job}, calls=(call(), call(attempt=2))))

    assert [PAID_TWICE] == [violation.kind for violation in findings.violations]
    assert (1, 1) == (findings.paid_twice, findings.paid_again)


def test_a_second_charge_after_an_answer_that_never_came_is_counted_and_not_a_violation() -> None:
    job = recognized("one", unanswered(), record(attempt=2), result=document(request_id="Tone2"))
    seen = facts(jobs={"one": job}, objects={"one": document(request_id="Tone2")}, calls=(call(), call(attempt=2)))

    findings = audit(seen)

    assert [] == findings.violations
    assert (0, 1, 1) == (findings.paid_twice, findings.paid_again, findings.ambiguous)


def test_a_reply_that_reached_the_books_while_the_call_was_made_again_was_not_known() -> None:
    job = recognized("one", record(ended_at="2026-01-01T00:00:09"), record(attempt=2))

    findings = audit(facts(jobs={"one": job}, calls=(call(), call(attempt=2))))

    assert ([], 1) == (findings.violations, findings.paid_again)


@pytest.mark.parametrize(
    ("booked_at", "found"),
    [("2026-01-01T00:00:01.900", [PAID_TWICE]), ("2026-01-01T00:00:02", [PAID_TWICE]), ("2026-01-01T00:00:03", [])],
    ids=["before the next call", "as it began", "after it"],
)
def test_a_worker_frozen_with_the_reply_in_its_hands_told_nobody_until_it_was_booked(
    booked_at: str, found: list[str]
) -> None:
    seen = facts(jobs={"one": recognized("one", record(), record(attempt=2))}, calls=(call(), call(attempt=2)))

    findings = audit(replace(seen, booked_at={"one-1": booked_at}))

    assert (found, 1) == ([violation.kind for violation in findings.violations], findings.paid_again)


def test_a_call_that_costs_nothing_after_a_stored_reply_is_seen_too() -> None:
    job = recognized("one", record(), record(attempt=2, charge=2, code="9999"))

    assert [PAID_TWICE] == kinds(facts(jobs={"one": job}, calls=(call(), call(attempt=2, charged=False))))


def test_one_content_that_is_bought_for_two_jobs_is_seen() -> None:
    both = facts(
        accepted=["one", "two"],
        jobs={"one": recognized("one"), "two": recognized("two", record("two", started_at="2026-01-01T00:00:05"))},
        objects={"one": document("one"), "two": document("two")},
        calls=(call("one"), call("two")),
    )

    assert [PAID_TWICE] == kinds(both)


def test_a_copied_reading_is_not_a_charge() -> None:
    copy = document("two", request_id="Tone1", copied_from="one")
    both = facts(
        accepted=["one", "two"],
        jobs={"one": recognized("one"), "two": JobFacts({"state": "recognized"}, (), copy)},
        objects={"one": document("one"), "two": copy},
    )

    assert [] == kinds(both)


def test_a_charge_that_our_books_do_not_have_is_seen() -> None:
    assert [MONEY] == kinds(facts(jobs={"one": JobFacts({"state": "recognized"}, (), document())}))


def test_a_charge_that_we_recorded_as_free_is_seen() -> None:
    free = record(charge=2, code="9999")

    assert [MONEY] == kinds(facts(jobs={"one": recognized("one", free)}))


def test_a_charge_that_the_endpoint_never_made_is_seen() -> None:
    job = recognized("one", record(), record(attempt=2))

    assert MONEY in kinds(facts(jobs={"one": job}))


def test_one_sequence_id_sent_twice_is_seen() -> None:
    assert MONEY in kinds(facts(calls=(call(charged=False), call())))


def test_an_attempt_whose_end_was_never_written_down_is_seen_once_all_is_done() -> None:
    job = recognized("one", record(ended_at=None, charge=None, code=None))

    assert [MONEY, MONEY] == kinds(facts(jobs={"one": job}))


def test_a_missing_object_in_s3_is_seen() -> None:
    assert [RESULT] == kinds(facts(objects={}))


def test_a_result_in_redis_that_disagrees_with_the_one_in_s3_is_seen() -> None:
    assert [RESULT] == kinds(facts(objects={"one": document(msg="another")}))


def test_a_rejected_job_with_the_object_of_a_recognized_one_is_seen() -> None:
    rejected = JobFacts({"state": "rejected"}, (record(),), None)

    assert [RESULT] == kinds(facts(jobs={"one": rejected}))


def test_a_reading_of_another_image_is_seen() -> None:
    wrong = document(permit={"cardNum": card_number("cd" * 32)})

    assert [RESULT] == kinds(facts(jobs={"one": recognized(result=wrong)}, objects={"one": wrong}))


def test_a_reply_that_the_endpoint_never_gave_is_seen() -> None:
    wrong = document(request_id="T-of-nobody")

    assert [RESULT] == kinds(facts(jobs={"one": recognized(result=wrong)}, objects={"one": wrong}))


def test_a_receipt_that_outlives_its_job_is_seen() -> None:
    left = replace(recognized(), has_receipt=True)

    assert [RESULT] == kinds(facts(jobs={"one": left}))
