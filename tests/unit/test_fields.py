"""The seven fields out of the lines of a card: no picture, no model, lines as the recognizer would hand them over."""

import random
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from hmt_pass.endpoint.engine import card, fields, names, page, pinyin
from hmt_pass.endpoint.engine.card import Box, Kind
from hmt_pass.endpoint.engine.fields import Alphabets, Fields
from hmt_pass.endpoint.engine.geometry import Floats, Picture
from hmt_pass.endpoint.engine.machine_readable import CHARACTERS
from hmt_pass.endpoint.engine.reader import FIRST_LOOK_PX, SECOND_LOOK_PX, Reader
from hmt_pass.endpoint.engine.recognition import Alphabet
from hmt_pass.endpoint.engine.text import Line, TextReader
from hmt_pass.endpoint.specimen import Identity, invent
from hmt_pass.endpoint.specimen.people import PersonName
from hmt_pass.permit import Permit

ALL = sorted({*pinyin.characters(), *names.LETTERS, *CHARACTERS, *".-·往来港澳台湾"})
KNOWN = {character: index for index, character in enumerate(ALL, start=1)}
ALPHABETS = Alphabets(
    Alphabet(KNOWN, pinyin.characters() | {pinyin.SEPARATOR}),
    Alphabet(KNOWN, names.LETTERS),
    Alphabet(KNOWN, CHARACTERS),
)
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


def read(lines: dict[str, Line]) -> Fields:
    return fields.read(page.arrange(list(lines.values()), ALPHABETS.codes), ALPHABETS)


def without(lines: dict[str, Line], *names_of_lines: str) -> dict[str, Line]:
    return {name: line for name, line in lines.items() if name not in names_of_lines}


def identities() -> list[Identity]:
    rng = random.Random(5)
    return [invent(rng) for _ in range(60)]


@pytest.mark.parametrize("identity", identities(), ids=lambda identity: identity.number)
def test_every_specimen_s_lines_give_its_truth_and_prove_it(identity: Identity) -> None:
    found = read(lines_of(identity))
    assert (identity.kind, identity.permit, True) == (found.kind, found.permit, found.complete)


def test_nothing_comes_of_nothing() -> None:
    found = read({})
    assert (found.kind, set(found.permit.to_wire().values())) == (None, {""})


@pytest.mark.parametrize("lost", ["number", "birth", "title"])
def test_the_machine_readable_line_gives_what_the_print_does_not(lost: str) -> None:
    found = read(without(lines_of(IDENTITY), lost))
    assert (found.kind, found.permit) == (IDENTITY.kind, IDENTITY.permit)


@pytest.mark.parametrize("lost", ["title", *card.LABELS, "authority"])
def test_a_lost_label_loses_no_field(lost: str) -> None:
    assert read(without(lines_of(IDENTITY), lost)).permit == IDENTITY.permit


def test_the_print_is_enough_without_a_machine_readable_line() -> None:
    found = read(without(lines_of(IDENTITY), "code"))
    assert (found.permit, found.complete) == (IDENTITY.permit, False)


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
    assert read(lines_of(IDENTITY) | {name: misread}).permit == IDENTITY.permit


def test_a_g_that_the_code_shows_as_6_is_read_from_the_print() -> None:
    identity = replace(IDENTITY, number="CG3273201")
    code = line(identity.machine_readable.replace("CG", "C6", 1), card.MACHINE_READABLE)
    assert read(lines_of(identity) | {"code": code}).permit.card_num == "CG3273201"


def test_a_lost_validity_follows_from_its_end_and_the_holder_s_age() -> None:
    child = replace(IDENTITY, birth=date(2010, 5, 4), expires=date(2024, 1, 17))
    adult, young = (read(without(lines_of(identity), "validity")).permit for identity in (IDENTITY, child))
    assert (adult.valid_date, young.valid_date) == ("20190118-20290117", "20190118-20240117")


def test_a_validity_that_could_be_two_stays_empty() -> None:
    lines = without(lines_of(IDENTITY), "validity", "birth")
    code = IDENTITY.machine_readable[:21] + "0000000<" + IDENTITY.machine_readable[29]
    assert (
        read(lines | {"code": line(code.replace("0000000<", "1000000<"), card.MACHINE_READABLE)}).permit.valid_date
        == ""
    )


@pytest.mark.parametrize("text", ["性别女", "女", "1981.08.03女"])
def test_sex_is_read_with_what_it_was_joined_to(text: str) -> None:
    assert read(without(lines_of(IDENTITY), "sex") | {"sex": line(text, Box(400, 252, 575, 295))}).permit.sex == "女"


def test_a_lost_sex_stays_empty() -> None:
    assert read(without(lines_of(IDENTITY), "sex")).permit.sex == ""


@pytest.mark.parametrize(
    ("authority", "place", "expected"),
    [
        ("中华人民共和国出入境管理局山东", None, "山东"),
        ("公安部出入境管理局", "黑龙红", "黑龙江"),
        ("公安部出入境管理局", "火星", ""),
        ("公安部出入境管理局", None, ""),
    ],
)
def test_the_place_is_of_the_closed_list_or_empty(authority: str, place: str | None, expected: str) -> None:
    lines = without(lines_of(IDENTITY), "place") | {"authority": line(authority, card.AUTHORITY)}
    if place:
        lines["place"] = line(place, card.PLACE)
    assert read(lines).permit.address == expected


def test_a_look_alike_gives_way_to_the_character_that_the_pinyin_spells() -> None:
    unsure = line("陈路路", card.NAME, {1: {"踏": 0.6, "露": 0.35}, 2: {"露": 0.99}})
    found = read(lines_of(IDENTITY) | {"name": unsure})
    assert (found.permit.name_chn, found.names_agree) == ("陈露露", True)


def test_a_name_that_neither_is_sure_nor_spelled_stays_empty() -> None:
    unsure = line("陈踏露", card.NAME, {1: {"踏": 0.6, "蹈": 0.3}})
    assert read(lines_of(IDENTITY) | {"name": unsure}).permit.name_chn == ""


def test_a_sure_name_corrects_its_pinyin() -> None:
    unsure = line("CHEN,LUIU", card.PINYIN, {7: {"I": 0.6, "L": 0.3}})
    found = read(lines_of(IDENTITY) | {"pinyin": unsure})
    assert (found.permit.name_chn, found.permit.name_eng, found.names_agree) == ("陈露露", "CHENLULU", True)


def test_a_rare_character_read_as_a_common_one_leaves_the_name_empty() -> None:
    rare = {"name": line("马烟诚", card.NAME), "pinyin": line("MA,YONGCHENG", card.PINYIN)}
    found = read(lines_of(IDENTITY) | rare)
    assert (found.permit.name_chn, found.permit.name_eng, found.names_agree) == ("", "MAYONGCHENG", False)


def test_a_sure_name_is_kept_without_a_pinyin_that_is_not_its_own() -> None:
    other = line("WANG,XIAO", card.PINYIN, {0: {"W": 0.5, "V": 0.4}})
    found = read(lines_of(IDENTITY) | {"pinyin": other})
    assert (found.permit.name_chn, found.permit.name_eng, found.names_agree) == ("陈露露", "", False)


@pytest.mark.parametrize(
    ("lost", "expected"), [("name", ("", "CHENLULU")), ("pinyin", ("陈露露", "")), ("both", ("", ""))]
)
def test_half_a_name_is_kept_and_does_not_agree(lost: str, expected: tuple[str, str]) -> None:
    lines = without(lines_of(IDENTITY), *(("name", "pinyin") if lost == "both" else (lost,)))
    found = read(lines)
    assert (found.permit.name_chn, found.permit.name_eng, found.names_agree) == (*expected, False)


def test_a_pinyin_without_its_comma_is_found_by_its_place() -> None:
    found = read(lines_of(IDENTITY) | {"pinyin": line("CHENLULU", card.PINYIN)})
    assert (found.permit.name_eng, found.names_agree) == ("CHENLULU", True)


def test_a_minority_name_keeps_its_dot() -> None:
    identity = replace(IDENTITY, name=PersonName("买买提·艾力", "MAIMAITI,AILI"))
    found = read(lines_of(identity) | {"name": line("买买提·交力", card.NAME, {4: {"交": 0.5, "艾": 0.4}})})
    assert (found.permit.name_chn, found.permit.name_eng) == ("买买提·艾力", "MAIMAITIAILI")


class Looks:
    """A text reader that sees the given lines, look after look."""

    def __init__(self, *looks: dict[str, Line]) -> None:
        self.recognizer = SimpleNamespace(known=KNOWN)
        self.looks = [list(look.values()) for look in looks]
        self.sizes: list[tuple[tuple[int, ...], int]] = []

    def lines(self, picture: Picture, long_side_px: int) -> list[Line]:
        self.sizes.append((picture.shape[:2], long_side_px))
        return self.looks.pop(0)


def look_at(*looks: dict[str, Line]) -> tuple[Permit | None, list[tuple[tuple[int, ...], int]]]:
    text = Looks(*looks)
    found = Reader(cast(TextReader, text)).read_pixels(np.zeros((1000, 1600, 3), np.uint8))
    return (found.permit if found else None), text.sizes


def test_a_card_that_proves_itself_is_looked_at_once() -> None:
    assert look_at(lines_of(IDENTITY)) == (IDENTITY.permit, [((1000, 1600), FIRST_LOOK_PX)])


def test_a_card_that_does_not_is_flattened_for_a_second_look() -> None:
    first = without(lines_of(IDENTITY), "sex", "code")
    permit, sizes = look_at(first, without(lines_of(IDENTITY), "place"))
    assert (permit, sizes[1]) == (IDENTITY.permit, ((891, 1365), SECOND_LOOK_PX))


def test_lines_that_do_not_show_where_the_card_lies_are_looked_at_again_as_they_are() -> None:
    lost = {"name": line("陈露露", card.NAME)}
    assert look_at(lost, lines_of(IDENTITY)) == (
        IDENTITY.permit,
        [((1000, 1600), FIRST_LOOK_PX), ((1000, 1600), SECOND_LOOK_PX)],
    )


def test_a_picture_without_text_is_looked_at_once_and_is_no_permit() -> None:
    assert look_at({}) == (None, [((1000, 1600), FIRST_LOOK_PX)])


def test_too_few_fields_are_no_permit() -> None:
    few = {"title": line(Kind.TAIWAN.title, card.TITLE), "number": line("L12345678", card.NUMBER)}
    assert look_at(few, few)[0] is None
