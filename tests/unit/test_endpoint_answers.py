"""What the endpoint says."""

import re

import pytest

from hmt_pass.codes import Code
from hmt_pass.endpoint import answers
from hmt_pass.endpoint.answers import Answer, RefusedError
from hmt_pass.endpoint.conventions import Shape
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading, Verdict
from hmt_pass.endpoint.extension import Extension
from hmt_pass.permit import Permit

PERMIT = Permit("C00000001", "样本", "YANGBEN", "19900201", "女", "20190118-20290117", "山东")
FIELDS = {"image_id", "address", "birthday", "cardNum", "nameChn", "nameEng", "sex", "validDate"}
BOX = ((0.04, 1), (20, 1.26), (20, 9), (0, 9))


def found(**more: object) -> Reading:
    return Reading(Kind.HK_MACAU, PERMIT, **more)  # type: ignore[arg-type]  # some fields of many


def recognized(reading: Reading | None = None, shape: Shape = Shape.FLAT, extension: Extension | None = None) -> Answer:
    return answers.recognized(reading, "0" * 32, shape, extension)


def test_an_answer_has_the_fields_flat_as_in_the_text_s_example() -> None:
    body = recognized(found()).body
    assert {"request_id", "code", "msg", "charge", "data"} == set(body)
    assert {"image_id": "0" * 32, **PERMIT.to_wire()} == body["data"]


def test_an_answer_has_the_fields_nested_as_in_the_text_s_table() -> None:
    data = recognized(found(), Shape.NESTED).body["data"]
    assert data == {"words_result_num": 1, "words_result": {"image_id": "0" * 32, **PERMIT.to_wire()}}


@pytest.mark.parametrize("shape", Shape)
def test_an_answer_without_a_permit_has_every_field_empty(shape: Shape) -> None:
    data = recognized(None, shape).body["data"]
    fields = data.get("words_result", data)
    assert (FIELDS, {"0" * 32, ""}) == (set(fields), set(fields.values()))


def test_a_recognized_permit_is_charged_and_a_refusal_is_not() -> None:
    refusal = answers.refused(RefusedError(Code.BAD_SIGNATURE))
    assert (True, False) == (recognized(found()).charged, refusal.charged)


def test_a_refusal_says_code_message_and_charge_2_and_nothing_empty() -> None:
    body = answers.refused(RefusedError(Code.BAD_SIGNATURE)).body
    assert ({"request_id", "code", "msg", "charge"}, "1000", "验签失败", 2) == (
        set(body),
        body["code"],
        body["msg"],
        body["charge"],
    )


def test_request_ids_are_tid_and_32_hex_digits_and_differ() -> None:
    one, other = (recognized(found()).body["request_id"] for _ in range(2))
    assert (True, True, True) == (*(bool(re.fullmatch("TID[0-9a-f]{32}", sent)) for sent in (one, other)), one != other)


@pytest.mark.parametrize(("code", "expected"), [("1002", {"reason"}), ("1016", {"image"}), ("9980", set())])
def test_a_forced_answer_has_the_keys_that_its_message_points_at(code: str, expected: set[str]) -> None:
    body = answers.forced(code, "url").body
    assert expected == set(body) - {"request_id", "code", "msg", "charge"}


def test_a_code_that_the_text_does_not_list_can_be_forced() -> None:
    answer = answers.forced("4711", "")
    assert ("4711", "4711", False) == (answer.code, answer.body["code"], answer.charged)


@pytest.mark.parametrize("shape", Shape)
def test_the_extension_adds_a_verdict_and_a_confidence_for_each_field(shape: Shape) -> None:
    reading = found(verdict=Verdict.ACCEPT, confidence={"card_num": 0.99996, "sex": 0.5})
    said = recognized(reading, shape, Extension.VERDICT).body["data"]["extension"]
    assert ({"verdict", "confidence"}, "accept", FIELDS - {"image_id"}) == (
        set(said),
        said["verdict"],
        set(said["confidence"]),
    )
    assert (1.0, 0.5, 0.0) == tuple(said["confidence"][name] for name in ("cardNum", "sex", "address"))


def test_boxes_have_four_corners_for_each_field_that_was_located() -> None:
    reading = found(boxes={"card_num": BOX})
    said = recognized(reading, extension=Extension.BOXES).body["data"]["extension"]
    assert said["boxes"] == {"cardNum": [[0.0, 1.0], [20.0, 1.3], [20.0, 9.0], [0.0, 9.0]]}


def test_no_permit_is_for_a_person_to_look_at() -> None:
    said = recognized(None, extension=Extension.BOXES).body["data"]["extension"]
    assert ("review", {0.0}, {}) == (said["verdict"], set(said["confidence"].values()), said["boxes"])


def test_an_answer_shows_no_field_in_its_repr() -> None:
    assert "C00000001" not in repr(recognized(found()))
