"""What the endpoint says."""

import pytest

from hmt_pass.codes import Code
from hmt_pass.endpoint import answers
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.conventions import Shape
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.permit import Permit


def found(**fields: str) -> Reading:
    return Reading(Kind.HK_MACAU, Permit(**fields))


def test_an_answer_has_the_fields_flat_as_in_the_text_s_example() -> None:
    body = answers.recognized(found(card_num="C00000001", sex="女"), "0" * 32, Shape.FLAT).body
    assert {"image_id", "address", "birthday", "cardNum", "nameChn", "nameEng", "sex", "validDate"} == set(body["data"])


def test_a_recognized_permit_is_charged_and_a_refusal_is_not() -> None:
    refusal = answers.refused(RefusedError(Code.BAD_SIGNATURE))
    assert (True, False) == (answers.recognized(found(), "", Shape.FLAT).charged, refusal.charged)


def test_a_refusal_says_code_message_and_charge_2_and_nothing_empty() -> None:
    body = answers.refused(RefusedError(Code.BAD_SIGNATURE)).body
    assert ({"request_id", "code", "msg", "charge"}, "1000", "验签失败", 2) == (
        set(body),
        body["code"],
        body["msg"],
        body["charge"],
    )


def test_request_ids_are_tid_and_32_hex_digits_and_differ() -> None:
    one, other = (answers.recognized(found(), "", Shape.FLAT).body["request_id"] for _ in range(2))
    assert ("TID", 32, True) == (one[:3], len(f"{int(one[3:], 16):032x}"), one != other)


@pytest.mark.parametrize(("code", "expected"), [("1002", {"reason"}), ("1016", {"image"}), ("9980", set())])
def test_a_forced_answer_has_the_keys_that_its_message_points_at(code: str, expected: set[str]) -> None:
    body = answers.forced(code, "url").body
    assert expected == set(body) - {"request_id", "code", "msg", "charge"}


def test_a_code_that_the_text_does_not_list_can_be_forced() -> None:
    answer = answers.forced("4711", "")
    assert ("4711", "4711", False) == (answer.code, answer.body["code"], answer.charged)
