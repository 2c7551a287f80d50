"""The seven fields out of the lines of a card: no picture, no model, lines as the recognizer would hand them over."""

import random
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from hmt_pass.endpoint.engine import card, fields, layout, pinyin
from hmt_pass.endpoint.engine.alphabets import Alphabets
from hmt_pass.endpoint.engine.anchors import anchor_of
from hmt_pass.endpoint.engine.card import Box, Kind
from hmt_pass.endpoint.engine.fields import SURE, Fields
from hmt_pass.endpoint.engine.geometry import Floats, Picture
from hmt_pass.endpoint.engine.machine_readable import CHARACTERS
from hmt_pass.endpoint.engine.page import Page
from hmt_pass.endpoint.engine.reader import FIRST_LOOK_PX, SECOND_LOOK_PX, Reader
from hmt_pass.endpoint.engine.reading import Reading, Verdict
from hmt_pass.endpoint.engine.text import Line, TextReader
from hmt_pass.endpoint.specimen import Identity, invent
from hmt_pass.endpoint.specimen.people import PersonName

ALL = sorted({*pinyin.characters(), *CHARACTERS, *".,-·往来港澳台湾局男女"})
KNOWN = {character: index for index, character in enumerate(ALL, start=1)}
ALPHABETS = Alphabets.of(KNOWN)
SCALE, LEFT, TOP = 1.7, 40.0, 25.0

IDENTITY = Identity(
    kind=Kind.HK_MACAU,
    name=PersonName("陈露露", "CHEN,LULU"),
    number="CA3273201",
    sex="女",
    birth=date(1981, 8, 3),
    issued=date(2019, 1, 18),
    expires=date(2029, 1, 17),
    place="山东",
)


def probabilities(text: str, doubts: dict[int, dict[str, float]] | None = None) -> Floats:
    """What the recognizer says for `text`: each character for one step, then a blank; `doubts` overrides a step."""
    steps = np.full((2 * len(text), len(KNOWN) + 1), 1e-7, np.float32)
    steps[1::2, 0] = 1
    for index, character in enumerate(text):
        for choice, likely in (doubts or {}).get(index, {character: 0.99}).items():
            steps[2 * index, KNOWN[choice]] = likely
    return steps


def line(text: str, box: Box, doubts: dict[int, dict[str, float]] | None = None) -> Line:
    corners = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)]
    pixels = np.array(corners, np.float32) * SCALE + (LEFT, TOP)
    return Line(pixels.astype(np.float32), text, 0.99, probabilities(text, doubts))


def lines_of(identity: Identity) -> dict[str, Line]:
    printed = {label: line(label, box) for label, box in card.LABELS.items()}
    return printed | {
        "title": line(identity.kind.title, card.TITLE),
        "number": line(identity.number, card.NUMBER),
        "name": line(identity.name.characters, card.NAME),
        "pinyin": line(identity.name.pinyin, card.PINYIN),
        "birth": line(f"{identity.birth:%Y.%m.%d}", card.BIRTHDAY),
        "sex": line(identity.sex, card.SEX),
        "validity": line(f"{identity.issued:%Y.%m.%d}-{identity.expires:%Y.%m.%d}", card.VALIDITY),
        "authority": line(identity.authority, card.AUTHORITY),
        "place": line(identity.place, card.PLACE),
        "code": line(identity.machine_readable, card.MACHINE_READABLE),
    }


def page_of(lines: dict[str, Line]) -> Page:
    anchors = [anchor for line in lines.values() if (anchor := anchor_of(line, ALPHABETS))]
    transform = layout.locate(anchors)
    assert transform is not None
    return Page.of(lines.values(), transform, ALPHABETS)


def read(lines: dict[str, Line]) -> Fields:
    return fields.read(page_of(lines), ALPHABETS)


def confidence(found: Fields, name: str) -> float:
    return found.found[name].confidence


def without(lines: dict[str, Line], *names_of_lines: str) -> dict[str, Line]:
    return {name: line for name, line in lines.items() if name not in names_of_lines}


def identities() -> list[Identity]:
    rng = random.Random(5)
    return [invent(rng) for _ in range(25)]


@pytest.mark.parametrize("identity", identities(), ids=lambda identity: identity.number)
def test_every_specimen_s_lines_give_its_truth_and_prove_it(identity: Identity) -> None:
    found = read(lines_of(identity))
    assert (identity.kind, identity.permit, []) == (found.kind, found.permit, found.doubtful)


@pytest.mark.parametrize("lost", ["number", "birth", "title"])
def test_the_machine_readable_line_gives_what_the_print_does_not(lost: str) -> None:
    found = read(without(lines_of(IDENTITY), lost))
    assert (found.kind, found.permit) == (IDENTITY.kind, IDENTITY.permit)


@pytest.mark.parametrize("lost", ["title", *card.LABELS, "authority"])
def test_a_lost_label_loses_no_field(lost: str) -> None:
    assert read(without(lines_of(IDENTITY), lost)).permit == IDENTITY.permit


def test_the_print_is_enough_without_a_machine_readable_line() -> None:
    found = read(without(lines_of(IDENTITY), "code"))
    assert (found.permit, found.doubtful) == (IDENTITY.permit, ["card_num", "birthday", "valid_date"])


def test_the_kind_of_a_card_without_title_and_code_is_in_its_number() -> None:
    assert read(without(lines_of(IDENTITY), "title", "code")).kind is Kind.HK_MACAU


@pytest.mark.parametrize(
    ("name", "misread"),
    [
        ("number", line("CA3273291", card.NUMBER)),
        ("birth", line("1981.08.08", card.BIRTHDAY)),
        ("validity", line("2019.01.18-2029.01.11", card.VALIDITY)),
        ("validity", line("2010.01.18-2029.01.17", card.VALIDITY)),
    ],
)
def test_a_misread_digit_is_repaired_from_the_machine_readable_line(name: str, misread: Line) -> None:
    found = read(lines_of(IDENTITY) | {name: misread})
    assert (found.permit, len(found.doubtful)) == (IDENTITY.permit, 1)


def test_a_blurred_digit_that_can_be_the_coded_one_is_proved_by_it() -> None:
    blurred = line("CA3273291", card.NUMBER, {7: {"9": 0.6, "0": 0.3}})
    found = read(lines_of(IDENTITY) | {"number": blurred})
    assert (found.permit, found.doubtful) == (IDENTITY.permit, [])


def test_a_number_of_the_other_kind_is_doubtful() -> None:
    title = line(Kind.TAIWAN.title, card.TITLE)
    assert read(lines_of(IDENTITY) | {"title": title}).doubtful == ["card_num"]


def test_who_is_over_a_hundred_is_told_from_a_child_by_the_print() -> None:
    old = replace(IDENTITY, birth=date(1915, 8, 3))
    coded_alone = read(without(lines_of(old), "birth"))
    assert (read(lines_of(old)).permit.birthday, coded_alone.permit.birthday) == ("19150803", "20150803")


def test_a_g_that_the_code_shows_as_6_is_read_from_the_print() -> None:
    identity = replace(IDENTITY, number="CG3273201")
    code = line(identity.machine_readable.replace("CG", "C6", 1), card.MACHINE_READABLE)
    assert read(lines_of(identity) | {"code": code}).permit.card_num == "CG3273201"


def test_a_lost_validity_follows_from_its_end_and_the_holder_s_age() -> None:
    child = replace(IDENTITY, birth=date(2010, 5, 4), expires=date(2024, 1, 17))
    adult, young = (read(without(lines_of(identity), "validity")) for identity in (IDENTITY, child))
    assert (adult.permit.valid_date, young.permit.valid_date) == ("20190118-20290117", "20190118-20240117")
    assert (adult.doubtful, young.doubtful) == (["valid_date"], ["valid_date"])


def test_a_term_that_does_not_suit_the_holder_s_age_is_doubtful() -> None:
    short = replace(IDENTITY, expires=date(2024, 1, 17))
    assert (read(lines_of(short)).permit, read(lines_of(short)).doubtful) == (short.permit, ["valid_date"])


def test_a_validity_without_a_code_that_is_no_term_is_hardly_believed() -> None:
    odd = line("2019.01.18-2023.05.05", card.VALIDITY)
    found = read(without(lines_of(IDENTITY), "code") | {"validity": odd})
    assert (found.permit.valid_date, confidence(found, "valid_date") < 0.7) == ("20190118-20230505", True)


def test_a_validity_that_could_be_two_stays_empty() -> None:
    lines = without(lines_of(IDENTITY), "validity", "birth")
    code = IDENTITY.machine_readable[:21] + "0000000<" + IDENTITY.machine_readable[29]
    assert (
        read(lines | {"code": line(code.replace("0000000<", "1000000<"), card.MACHINE_READABLE)}).permit.valid_date
        == ""
    )


@pytest.mark.parametrize("text", ["性别女", "1981.08.03女"])
def test_sex_is_read_with_what_it_was_joined_to(text: str) -> None:
    assert read(without(lines_of(IDENTITY), "sex") | {"sex": line(text, Box(400, 252, 575, 295))}).permit.sex == "女"


def test_a_sex_that_was_read_as_another_character_is_what_it_most_looks_like() -> None:
    unsure = line("勇", card.SEX, {0: {"勇": 0.6, "男": 0.3, "女": 0.01}})
    found = read(lines_of(IDENTITY) | {"sex": unsure})
    assert (found.permit.sex, found.doubtful) == ("男", ["sex"])


def test_a_lost_sex_stays_empty() -> None:
    assert read(without(lines_of(IDENTITY), "sex")).permit.sex == ""


@pytest.mark.parametrize(
    ("authority", "place", "expected"),
    [
        ("中华人民共和国出入境管理局山东", None, "山东"),
        ("公安部出入境管理局", "黑龙江", "黑龙江"),
        ("公安部出入境管理局", "火星", ""),
        ("公安部出入境管理局", None, ""),
    ],
)
def test_the_place_is_of_the_closed_list_or_empty(authority: str, place: str | None, expected: str) -> None:
    lines = without(lines_of(IDENTITY), "place") | {
        "authority": line(authority, Box(302, 392, 610 if place else 690, 436))
    }
    if place:
        lines["place"] = line(place, card.PLACE)
    assert read(lines).permit.address == expected


def test_a_blurred_place_is_the_likeliest_of_the_list() -> None:
    blurred = line("黑龙红", card.PLACE, {2: {"红": 0.9, "江": 0.05}})
    found = read(lines_of(IDENTITY) | {"place": blurred})
    assert (found.permit.address, "address" in found.doubtful) == ("黑龙江", False)


def test_a_line_that_was_found_in_parts_is_read_as_one() -> None:
    parts = {
        "name": line("买买提", Box(300, 130, 400, 170)),
        "rest": line("·艾力", Box(404, 130, 500, 170)),
        "pinyin": line("MAIMAITI,", Box(300, 175, 420, 209)),
        "end": line("AILI", Box(425, 175, 480, 209)),
    }
    permit = read(lines_of(IDENTITY) | parts).permit
    assert (permit.name_chn, permit.name_eng) == ("买买提·艾力", "MAIMAITIAILI")


def test_what_is_printed_beside_a_name_and_joined_to_it_is_left_out() -> None:
    joined = line("陈露露 SPECIMEN".replace(" ", ""), Box(300, 125, 560, 176))
    found = read(lines_of(IDENTITY) | {"name": joined})
    assert (found.permit.name_chn, found.doubtful) == ("陈露露", [])


def test_what_lies_beside_the_card_is_not_read() -> None:
    beside = line("C87654321", Box(1000, 54, 1230, 98))
    assert read(without(lines_of(IDENTITY), "number", "code") | {"beside": beside}).permit.card_num == ""


def test_a_look_alike_gives_way_to_the_character_that_the_pinyin_spells() -> None:
    unsure = line("陈路路", card.NAME, {1: {"踏": 0.6, "露": 0.35}, 2: {"露": 0.99}})
    found = read(lines_of(IDENTITY) | {"name": unsure})
    assert (found.permit.name_chn, "name_chn" in found.doubtful) == ("陈露露", True)


def test_a_look_alike_with_the_same_reading_makes_the_name_doubtful() -> None:
    unsure = line("陈路路", card.NAME, {1: {"路": 0.9, "露": 0.08}})
    found = read(lines_of(IDENTITY) | {"name": unsure})
    assert (found.permit.name_chn, "name_chn" in found.doubtful) == ("陈路路", True)


def test_a_name_that_neither_is_sure_nor_spelled_stays_empty() -> None:
    unsure = line("陈踏露", card.NAME, {1: {"踏": 0.6, "蹈": 0.3}})
    assert read(lines_of(IDENTITY) | {"name": unsure}).permit.name_chn == ""


def test_a_sure_name_corrects_its_pinyin() -> None:
    unsure = line("CHEN,LUIU", card.PINYIN, {7: {"I": 0.6, "L": 0.3}})
    found = read(lines_of(IDENTITY) | {"pinyin": unsure})
    assert (found.permit.name_chn, found.permit.name_eng, found.doubtful) == ("陈露露", "CHENLULU", [])


def test_a_rare_character_read_as_a_common_one_leaves_the_name_empty() -> None:
    rare = {"name": line("马烟诚", card.NAME), "pinyin": line("MA,YONGCHENG", card.PINYIN)}
    found = read(lines_of(IDENTITY) | rare)
    assert (found.permit.name_chn, found.permit.name_eng) == ("", "MAYONGCHENG")


def test_a_sure_name_is_kept_without_a_pinyin_that_is_not_its_own() -> None:
    other = line("WANG,XIAO", card.PINYIN, {0: {"W": 0.5, "V": 0.4}})
    found = read(lines_of(IDENTITY) | {"pinyin": other})
    assert (found.permit.name_chn, found.permit.name_eng) == ("陈露露", "")


@pytest.mark.parametrize(
    ("lost", "expected"), [("name", ("", "CHENLULU")), ("pinyin", ("陈露露", "")), ("both", ("", ""))]
)
def test_half_a_name_is_kept_and_does_not_agree(lost: str, expected: tuple[str, str]) -> None:
    lines = without(lines_of(IDENTITY), *(("name", "pinyin") if lost == "both" else (lost,)))
    found = read(lines)
    assert (found.permit.name_chn, found.permit.name_eng) == expected


def test_a_pinyin_without_its_comma_is_found_by_its_place() -> None:
    found = read(lines_of(IDENTITY) | {"pinyin": line("CHENLULU", card.PINYIN)})
    assert (found.permit.name_eng, found.doubtful) == ("CHENLULU", [])


def test_a_long_name_whose_dot_was_not_seen_is_doubtful() -> None:
    identity = replace(IDENTITY, name=PersonName("买买提·艾力", "MAIMAITI,AILI"))
    found = read(lines_of(identity) | {"name": line("买买提艾力", card.NAME)})
    assert (found.permit.name_chn, "name_chn" in found.doubtful) == ("买买提艾力", True)


def test_a_minority_name_keeps_its_dot() -> None:
    identity = replace(IDENTITY, name=PersonName("买买提·艾力", "MAIMAITI,AILI"))
    found = read(lines_of(identity) | {"name": line("买买提·交力", card.NAME, {4: {"交": 0.5, "艾": 0.4}})})
    assert (found.permit.name_chn, found.permit.name_eng) == ("买买提·艾力", "MAIMAITIAILI")


class Pages:
    """A text reader that sees the given lines, look after look; a closer look finds what `closer` has."""

    def __init__(self, *looks: dict[str, Line], closer: dict[str, Line] | None = None) -> None:
        self.recognizer = SimpleNamespace(known=KNOWN)
        self.looks, self.closer = [list(look.values()) for look in looks], list((closer or {}).values())
        self.known = [line for look in self.looks for line in look] + self.closer
        self.asked: list[int] = []
        self.strips = 0
        self.read_ones: list[Floats] = []

    def find(self, _picture: Picture, long_side_px: int) -> list[Floats]:
        self.asked.append(long_side_px)
        return [line.corners for line in self.looks.pop(0)]

    def find_upright(self, _picture: Picture) -> list[Floats]:
        self.strips += 1
        return []

    def read(self, _picture: Picture, corners: Floats) -> Line:
        self.read_ones.append(corners)
        same = (line for line in self.known if np.abs(line.corners - corners).max() < 1)
        near = (line for line in self.closer if np.abs(line.corners.mean(axis=0) - corners.mean(axis=0)).max() < 40)
        nothing = Line(corners, "", 0.0, np.full((1, len(KNOWN) + 1), 1e-7, np.float32))
        return next(same, None) or next(near, nothing)


def look_at(*looks: dict[str, Line], closer: dict[str, Line] | None = None) -> tuple[Reading | None, Pages]:
    text = Pages(*looks, closer=closer)
    return Reader(cast(TextReader, text)).read_pixels(np.zeros((1000, 1600, 3), np.uint8)), text


def test_a_card_that_proves_itself_is_looked_at_once_and_accepted() -> None:
    reading, text = look_at(lines_of(IDENTITY))
    assert reading is not None
    assert (reading.permit, reading.verdict) == (IDENTITY.permit, Verdict.ACCEPT)
    assert (text.asked, text.strips) == ([FIRST_LOOK_PX], 0)


def test_labels_are_not_read() -> None:
    lines = lines_of(IDENTITY)
    _, text = look_at(lines)
    read_ones = [corners.tolist() for corners in text.read_ones]
    assert [label for label in card.LABELS if lines[label].corners.tolist() in read_ones] == []


def test_a_doubtful_field_gets_a_closer_look_at_its_place() -> None:
    reading, text = look_at(without(lines_of(IDENTITY), "sex"), closer={"sex": lines_of(IDENTITY)["sex"]})
    assert reading is not None
    assert (reading.permit, text.asked, text.strips > 0) == (IDENTITY.permit, [FIRST_LOOK_PX], True)


def test_a_field_that_a_closer_look_does_not_find_stays_empty_and_the_card_is_for_review() -> None:
    reading, _ = look_at(without(lines_of(IDENTITY), "place"))
    assert reading is not None
    assert (reading.permit.address, reading.verdict, reading.confidence["address"]) == ("", Verdict.REVIEW, 0.0)


def test_a_card_whose_place_is_not_sure_is_looked_at_again() -> None:
    few = {name: line for name, line in lines_of(IDENTITY).items() if name in ("title", "number")}
    reading, text = look_at(few, lines_of(IDENTITY))
    assert reading is not None
    assert (reading.permit, text.asked) == (IDENTITY.permit, [FIRST_LOOK_PX, SECOND_LOOK_PX])


def test_a_picture_without_text_is_looked_at_once_and_is_no_permit() -> None:
    reading, text = look_at({})
    assert (reading, text.asked) == (None, [FIRST_LOOK_PX])


def test_too_few_fields_are_no_permit() -> None:
    few = {"title": line(Kind.TAIWAN.title, card.TITLE), "number": line("L12345678", card.NUMBER)}
    assert look_at(few, few)[0] is None


def test_text_that_is_no_card_s_is_no_permit() -> None:
    paper = {"words": line("陈露露", card.NAME)}
    assert look_at(paper, paper)[0] is None


def test_of_two_cards_one_is_read_and_nothing_of_the_other() -> None:
    other = replace(
        IDENTITY,
        number="C12345678",
        birth=date(1990, 2, 1),
        sex="男",
        place="北京",
        name=PersonName("王伟", "WANG,WEI"),
    )
    moved = {
        f"other {name}": replace(one, corners=one.corners * 0.8 + (0, 1000)) for name, one in lines_of(other).items()
    }
    lost = without(lines_of(IDENTITY), "number", "sex", "name", "place", "code")
    reading, _ = look_at(lines_of(IDENTITY) | moved)
    partly, _ = look_at(lost | moved, {})
    assert reading is not None
    assert partly is not None
    own = {"", IDENTITY.name.pinyin.replace(",", ""), "19810803", "20190118-20290117"}
    assert (reading.permit, set(partly.permit.to_wire().values())) == (IDENTITY.permit, own)


def test_a_box_is_where_the_field_was_read_or_where_it_is_printed() -> None:
    reading, _ = look_at(without(lines_of(IDENTITY), "birth"))
    assert reading is not None
    seen, printed = (np.array(lines_of(IDENTITY)[name].corners) for name in ("number", "birth"))
    assert np.array(reading.boxes["card_num"]) == pytest.approx(seen)
    assert np.array(reading.boxes["birthday"]) == pytest.approx(printed, abs=3)


def test_every_field_has_a_confidence_and_sure_ones_are_near_one() -> None:
    reading, _ = look_at(lines_of(IDENTITY))
    assert reading is not None
    assert (set(reading.confidence), min(reading.confidence.values()) >= SURE) == (set(fields.PLACES), True)
