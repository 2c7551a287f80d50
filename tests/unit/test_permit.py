import dataclasses
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmt_pass.codes import Disposition
from hmt_pass.permit import Flag, Permit, Reply, Sex

# The shape of the API text's example, an invented person.
FIELDS = {
    "address": "山东",
    "birthday": "19900201",
    "cardNum": "c00000001",
    "nameChn": "样本",
    "nameEng": "YANGBEN",
    "sex": "女",
    "validDate": "20150116-20250115",
}
BODY = {"code": "0000", "msg": "调用成功", "charge": 1, "request_id": "TID1"}


def reply(**body: Any) -> Reply:  # noqa: ANN401  whatever a server may write
    return Reply.from_wire({**BODY, **body})


def permit(**fields: Any) -> Permit:  # noqa: ANN401  whatever a server may write
    return Permit.from_wire({**FIELDS, **fields})


def test_the_fields_lie_flat_in_data_as_in_the_texts_example() -> None:
    read = reply(data={"image_id": "d973", **FIELDS})
    assert (read.code, read.msg, read.charge, read.request_id, read.image_id) == ("0000", "调用成功", 1, "TID1", "d973")
    assert read.permit == permit()


@pytest.mark.parametrize(
    "data",
    [
        {"words_result_num": 1, "words_result": {"image_id": "d973", **FIELDS}},
        {"words_result_num": 1, "image_id": "d973", "words_result": FIELDS},
    ],
)
def test_the_fields_lie_under_words_result_as_in_the_texts_table(data: dict[str, Any]) -> None:
    assert (permit(), "d973") == (reply(data=data).permit, reply(data=data).image_id)


def test_the_whole_body_is_kept() -> None:
    body = {**BODY, "data": {**FIELDS, "new": [1]}, "trace": "t"}
    assert body == Reply.from_wire(body).raw


def test_unknown_keys_are_kept_as_they_are() -> None:
    assert permit(issuer="出入境管理局", score=0.9, image_id="d973").extra == {"issuer": "出入境管理局", "score": 0.9}


def test_the_raw_fields_are_what_the_endpoint_wrote_even_a_lower_case_number() -> None:
    assert permit().to_wire() == FIELDS
    assert permit().card_num == "c00000001"


@pytest.mark.parametrize(("written", "read"), [(None, ""), (10563465, "10563465"), (True, "True")])
def test_a_field_that_is_no_text_becomes_its_text(written: object, read: str) -> None:
    assert read == permit(cardNum=written).card_num


def test_a_field_that_is_left_out_is_empty() -> None:
    assert Permit.from_wire({}) == Permit()
    assert Permit().problems == ()


@pytest.mark.parametrize("written", ["19900201", "1990.02.01", "1990-02-01", "1990/02/01", " 1990年02月01日 "])
def test_a_birthday_is_read_in_every_usual_spelling(written: str) -> None:
    assert permit(birthday=written).birth_date == date(1990, 2, 1)


@pytest.mark.parametrize(
    "written",
    ["20150116-20250115", "2015.01.16-2025.01.15", "2015-01-16 - 2025-01-15", "2015/01/16至2025/01/15"],
)
def test_a_validity_is_read_in_every_usual_spelling(written: str) -> None:
    read = permit(validDate=written)
    assert (read.valid_from, read.valid_to) == (date(2015, 1, 16), date(2025, 1, 15))


@pytest.mark.parametrize(("written", "read"), [("男", Sex.MALE), (" 女 ", Sex.FEMALE), ("F", None), ("", None)])
def test_the_sex_is_an_enum(written: str, read: Sex | None) -> None:
    assert read is permit(sex=written).sex_enum


@pytest.mark.parametrize(
    ("wire", "written"),
    [
        ("birthday", "19900230"),
        ("birthday", "unreadable"),
        ("birthday", "00000101"),
        ("sex", "F"),
        ("validDate", "20150116"),
        ("validDate", "20150116-20259915"),
        ("validDate", "长期"),
    ],
)
def test_a_value_that_does_not_parse_stays_raw_and_is_reported(wire: str, written: str) -> None:
    read = permit(**{wire: written})
    assert written == read.to_wire()[wire]
    assert read.problems == (wire,)


def test_the_normalised_values_are_json() -> None:
    assert permit().normalised() == {
        "birth_date": "1990-02-01",
        "sex": "female",
        "valid_from": "2015-01-16",
        "valid_to": "2025-01-15",
    }
    assert set(Permit(birthday="?").normalised().values()) == {None}


@pytest.mark.parametrize(
    ("day", "expired"), [(date(2025, 1, 14), False), (date(2025, 1, 15), False), (date(2025, 1, 16), True)]
)
def test_a_permit_is_valid_on_its_last_day_and_expired_on_the_next(day: date, expired: bool) -> None:
    assert expired is permit().expired_on(day)


def test_whether_a_permit_without_a_last_day_is_expired_is_not_known() -> None:
    assert permit(validDate="长期").expired_on(date(2030, 1, 1)) is None


def test_nothing_of_a_permit_shows_in_its_repr_or_the_replys() -> None:
    read = reply(data={**FIELDS, "image_id": "d973", "issuer": "出入境管理局"})
    shown = repr(read) + repr(read.permit) + str(read.permit)
    assert [value for value in (*FIELDS.values(), "出入境管理局") if value in shown] == []
    assert repr(Permit(sex="女", card_num="C1")) == "<Permit card_num sex>"


def test_a_permit_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        permit().sex = "男"  # type: ignore[misc]  # the point of the test


@pytest.mark.parametrize("data", [None, [], "text", {}, {"words_result": None}, {"image_id": "d973"}])
def test_without_fields_there_is_no_permit(data: object) -> None:
    assert reply(code="1004", data=data).permit is None


def test_reason_and_image_are_at_top_level() -> None:
    read = Reply.from_wire({"code": "1013", "charge": 2, "reason": "over 5 MB", "image": "file"})
    assert (read.reason, read.image, read.disposition) == ("over 5 MB", "file", Disposition.REJECT)


@pytest.mark.parametrize(("written", "code"), [("0000", "0000"), (0, "0000"), (1000, "1000")])
def test_a_code_is_a_string_of_four_digits_even_if_the_server_writes_a_number(written: object, code: str) -> None:
    assert code == reply(code=written).code


@pytest.mark.parametrize("body", [{}, {"code": None}, {"code": ""}])
def test_an_answer_without_a_code_is_none(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no code"):
        Reply.from_wire(body)


@pytest.mark.parametrize(
    ("code", "charge", "charged"),
    [
        ("0000", 1, True),
        ("0000", "1", True),
        ("0000", None, True),
        ("0000", "yes", True),
        ("0000", 2, False),
        ("1005", 1, True),
        ("1000", 2, False),
        ("1000", None, False),
    ],
)
def test_a_call_costs_when_it_says_so_whatever_its_code_and_a_0000_that_does_not_say_is_counted(
    code: str, charge: object, charged: bool
) -> None:
    assert charged is reply(code=code, charge=charge).charged


# A few characters that matter: those of dates, ranges and sexes. Any Unicode text would cost 3 s to begin with.
TEXTS = st.text("0123456789.-/~年月日男女至 x", max_size=24)


@given(st.dictionaries(st.sampled_from([*FIELDS, "other"]), TEXTS | st.none() | st.integers() | st.lists(TEXTS)))
def test_whatever_the_fields_hold_reading_them_never_fails(words: dict[str, Any]) -> None:
    read = Permit.from_wire(words)
    assert set(read.problems) <= {"birthday", "sex", "validDate"}
    assert set(read.normalised()) == {"birth_date", "sex", "valid_from", "valid_to"}


def test_the_flags_are_the_api_texts() -> None:
    assert {flag.name: flag.value for flag in Flag} == {"HK_AND_MACAU": 0, "HK": 1, "MACAU": 2, "TAIWAN": 3}
