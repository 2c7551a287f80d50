from pathlib import Path

import pytest

from hmt_pass import cures, errors
from hmt_pass.codes import Code, Disposition
from hmt_pass.errors import HmtPassError
from worker import outcomes
from worker.rabbitmq.received import DELIVERED_TOO_OFTEN

DEAD = [code for code in Code if code.disposition is Disposition.DEAD_LETTER]
NEVER_OF_A_JOB = {"error", "settings", "not enqueued", "no document"}


def reasons() -> set[str]:
    """Of every error that makes a dead letter, at once or when its retries are exhausted."""
    found = {DELIVERED_TOO_OFTEN, "bug: ZeroDivisionError in f (a.py:1)"}
    for module in (errors, outcomes):
        for error in vars(module).values():
            if (
                isinstance(error, type)
                and issubclass(error, HmtPassError)
                and isinstance(vars(error).get("reason"), str)
            ):
                if error.disposition is Disposition.DEAD_LETTER:
                    found.add(error.reason)
                if error.disposition is Disposition.RETRY:
                    found.add(f"exhausted: {error.reason}")
    return found - NEVER_OF_A_JOB


@pytest.mark.parametrize("code", DEAD, ids=lambda code: code.value)
def test_every_code_that_makes_a_dead_letter_has_a_cure_in_both_languages(code: Code) -> None:
    found = cures.cure("whatever the endpoint said", code.value)
    assert found is cures.CODES[code]
    assert (True, True) == (found.en.endswith("."), found.zh.endswith("。"))
    assert code.meaning == found.meaning


def test_no_other_code_has_one() -> None:
    assert set(DEAD) == set(cures.CODES)


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_every_reason_of_ours_has_a_cure_whatever_the_last_code_was(reason: str) -> None:
    assert cures.OTHER is not cures.cure(reason, None)
    assert cures.cure(reason, None) is cures.cure(reason, "9980")


def test_a_reason_may_have_a_closer_cure_than_what_stands_before_its_colon() -> None:
    assert cures.cure("exhausted: object denied", None) is not cures.cure("exhausted: not connected", None)
    assert cures.REASONS["exhausted"] is cures.cure("exhausted: not connected", None)


def test_what_nobody_has_heard_of_has_a_cure_too() -> None:
    assert cures.UNKNOWN_CODE is cures.cure("the API text does not list code 4711", "4711")
    assert cures.OTHER is cures.cure("something new", None)


def test_what_cannot_be_run_is_not_redriven() -> None:
    expected = {"0000 without data", "invalid job", "job conflict", "unreadable message"}
    assert expected == {reason for reason, found in cures.REASONS.items() if not found.redrive}
    assert all("discard" in found.en for found in cures.REASONS.values() if not found.redrive)


def test_docs_dead_letters_md_is_up_to_date() -> None:
    document = Path(__file__).parents[2] / "docs" / "dead-letters.md"
    assert cures.markdown() == document.read_text(encoding="utf-8")
