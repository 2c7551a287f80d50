"""The grammar of a card's texts: machine-readable line, dates, pinyin."""

from datetime import date

import pytest

from hmt_pass.endpoint.engine import dates, machine_readable, pinyin
from hmt_pass.endpoint.engine.card import Kind

PUBLISHED = ["CSC000000004<2404200<8108038<6", "CSCA32732010<2901178<8108038<2", "CDL000000007<2508197<8208031<6"]


@pytest.mark.parametrize("line", PUBLISHED)
def test_the_published_specimens_pass_all_four_checks(line: str) -> None:
    parsed = machine_readable.parse(line)
    assert parsed is not None
    assert 4 == parsed.strength


@pytest.mark.parametrize("line", PUBLISHED)
def test_a_composed_line_is_the_published_one(line: str) -> None:
    kind = next(kind for kind in Kind if kind.document == line[:2])
    assert line == machine_readable.compose(kind, line[2:11], line[13:19], line[21:27])


@pytest.mark.parametrize(
    "misread",
    [
        "CSCA32732O1O<29O1178<81O8O38<2",
        "C5CA32732010<2901178<8108038<2",
        "CSCA32732010290117881080382",
        "CSCA32732010<<2901178K8108038<2",
        "XCSCA32732010<2901178<8108038<2",
        "cSCA32732010<2901178<8108038<2",
    ],
)
def test_what_a_letter_stands_for_and_lost_fillers_are_repaired(misread: str) -> None:
    parsed = machine_readable.parse(misread)
    assert parsed is not None
    assert (Kind.HK_MACAU, "CA3273201", "290117", "810803", True) == (
        parsed.kind,
        parsed.number,
        parsed.expiry,
        parsed.birth,
        parsed.whole,
    )


def test_a_letter_read_as_its_digit_is_found_by_the_check_digit() -> None:
    line = machine_readable.compose(Kind.HK_MACAU, "CB1234567", "290117", "810803")
    parsed = machine_readable.parse(line.replace("CB", "C8", 1))
    assert parsed is not None
    assert "CB1234567" == parsed.number


@pytest.mark.parametrize("position", [5, 14, 22])
def test_a_part_with_a_wrong_digit_is_not_believed(position: int) -> None:
    line = PUBLISHED[1]
    wrong = line[:position] + str((int(line[position]) + 1) % 10) + line[position + 1 :]
    parsed = machine_readable.parse(wrong)
    assert parsed is not None
    assert (2, 1) == (parsed.strength, [parsed.number, parsed.expiry, parsed.birth].count(None))


@pytest.mark.parametrize("text", ["", "往来港澳通行证", "2019.01.18-2029.01.17", "C" * 30])
def test_other_text_is_no_machine_readable_line(text: str) -> None:
    assert machine_readable.parse(text) is None


def test_dates_are_found_between_other_signs() -> None:
    assert [date(1990, 2, 1)] == dates.find("1990.02.O1女")


@pytest.mark.parametrize("text", ["1990.02.30", "19900", "11990.02.01"])
def test_a_date_that_the_calendar_does_not_have_is_not_found(text: str) -> None:
    assert [] == dates.find(text)


@pytest.mark.parametrize("text", ["2019.01.18-2029.01.17", "2019011820290117", "2019.01.182029.01.17"])
def test_a_span_is_read_with_or_without_its_signs(text: str) -> None:
    assert (date(2019, 1, 18), date(2029, 1, 17)) == dates.find_span(text)


@pytest.mark.parametrize("text", ["2019.01.18", "2029.01.17-2019.01.18", "2019133120290117"])
def test_what_is_no_span_is_none(text: str) -> None:
    assert dates.find_span(text) is None


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (date(2019, 1, 18), date(2029, 1, 17), True),
        (date(2019, 1, 18), date(2024, 1, 17), True),
        (date(2020, 2, 29), date(2030, 2, 28), True),
        (date(2019, 1, 18), date(2029, 1, 18), False),
    ],
)
def test_a_term_is_five_or_ten_years(first: date, last: date, expected: bool) -> None:
    assert expected is dates.is_term(first, last)


def test_the_start_goes_back_whole_years_from_the_day_after() -> None:
    assert date(2019, 1, 18) == dates.start_of(date(2029, 1, 17), 10)


def test_a_start_that_the_calendar_does_not_have_is_none() -> None:
    assert dates.start_of(date(2028, 2, 28), 5) is None


@pytest.mark.parametrize(("issued", "years"), [(date(2026, 2, 28), 5), (date(2026, 3, 1), 10)])
def test_who_is_under_16_gets_five_years(issued: date, years: int) -> None:
    assert years == dates.term_years(date(2010, 3, 1), issued)


def test_the_century_of_a_birth_is_the_latest_possible() -> None:
    issued = date(2020, 1, 1)
    assert (date(1921, 5, 4), date(2019, 5, 4)) == (dates.birth_of("210504", issued), dates.birth_of("190504", issued))


def test_there_are_8105_standard_characters() -> None:
    assert 8105 == len(pinyin.characters())


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("CHENLULU", "陈露露"),
        ("LYUDAN", "吕丹"),
        ("LVDAN", "吕丹"),
        ("LUDAN", "吕丹"),
        ("SHANXIONGXIN", "单雄信"),
        ("MAIMAITIAILI", "买买提·艾力"),
        ("OUYANGXIU", "欧阳修"),
    ],
)
def test_a_name_is_spelled_by_its_pinyin_in_any_reading(said: str, name: str) -> None:
    assert pinyin.spells(said, name)


@pytest.mark.parametrize(("said", "name"), [("CHENLU", "陈露露"), ("CHENLULUO", "陈露"), ("", ""), ("CHEN", "陳")])
def test_another_pinyin_does_not_spell_it(said: str, name: str) -> None:
    assert not pinyin.spells(said, name)


def test_a_character_with_several_readings_has_no_only_one() -> None:
    assert ("CHEN", "", "") == tuple(map(pinyin.only_reading, "陈乐陳"))
