"""The generator of synthetic permits."""

import io
import json
import random
from pathlib import Path

import pytest
from PIL import Image

from hmt_pass import image
from hmt_pass.endpoint import dates, machine_readable, pinyin
from hmt_pass.endpoint.card import Kind
from hmt_pass.endpoint.specimen import Level, __main__, draw, encode, fonts, invent
from hmt_pass.endpoint.specimen.people import invent_name

MANY = 400


def test_every_truth_is_whole_and_normal() -> None:
    rng = random.Random(1)
    permits = [invent(rng).permit for _ in range(MANY)]
    assert {(permit.problems, "" in permit.to_wire().values()) for permit in permits} == {((), False)}


def test_every_pinyin_spells_its_name() -> None:
    rng = random.Random(2)
    names = [invent_name(rng) for _ in range(MANY)]
    assert [name for name in names if not pinyin.spells(name.pinyin.replace(",", ""), name.characters)] == []


def test_names_are_as_mixed_as_they_should_be() -> None:
    rng = random.Random(3)
    names = [invent_name(rng).characters for _ in range(MANY)]
    rare = [name for name in names if any(ord(character) > 0xFFFF for character in name)]
    minority = [name for name in names if pinyin.SEPARATOR in name]
    assert (len(rare) > 3, 5 <= len(minority) <= 40) == (True, True)


def test_every_term_is_five_or_ten_years_by_age() -> None:
    rng = random.Random(4)
    identities = [invent(rng) for _ in range(MANY)]
    terms = {dates.is_term(identity.issued, identity.expires) for identity in identities}
    children = [one for one in identities if one.expires.year - one.issued.year <= 5]
    assert (terms, 10 < len(children) < MANY) == ({True}, True)


def test_every_machine_readable_line_passes_its_checks() -> None:
    rng = random.Random(5)
    lines = [machine_readable.parse(invent(rng).machine_readable) for _ in range(MANY)]
    assert {line and line.strength for line in lines} == {4}


@pytest.mark.parametrize(("kind", "pattern"), [(Kind.HK_MACAU, {"C0", "CA"}), (Kind.TAIWAN, {"L0"})])
def test_numbers_have_the_forms_of_their_kind(kind: Kind, pattern: set[str]) -> None:
    rng = random.Random(6)
    numbers = [invent(rng, (kind,)).number for _ in range(MANY)]
    assert {number[0] + ("0" if number[1].isdecimal() else "A") for number in numbers} == pattern


def test_the_same_seed_gives_the_same_picture() -> None:
    one, other = (encode(draw(invent(rng), Level.PHONE, rng), Level.PHONE, rng) for rng in map(random.Random, (7, 7)))
    assert one == other


@pytest.mark.parametrize("level", Level)
def test_every_picture_is_one_that_the_endpoint_takes(level: Level) -> None:
    rng = random.Random(8)
    data = encode(draw(invent(rng), level, rng), level, rng)
    assert image.check(data).format == "JPEG"


def test_a_card_is_visibly_marked() -> None:
    rng = random.Random(9)
    picture = draw(invent(rng), Level.CLEAN, rng)
    red = sum(1 for pixel in picture.getdata() if pixel[0] > pixel[1] + 60 and pixel[0] > pixel[2] + 60)
    assert red > 1000


def test_every_character_that_a_name_can_hold_is_in_the_fonts() -> None:
    for typeface in (fonts.SANS, fonts.SERIF):
        font = fonts.load(typeface, 16)
        nothing = bytes(font.getmask("\U0010fffe"))
        assert [character for character in pinyin.characters() if bytes(font.getmask(character)) == nothing] == []


def test_missing_fonts_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fonts.load.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert __main__.main(["--out", str(tmp_path), "--count", "1"]) == 2
    assert "pylopdf-fonts-zh-cn" in capsys.readouterr().err


def test_the_command_writes_pictures_and_their_truth(tmp_path: Path) -> None:
    assert __main__.main(["--out", str(tmp_path), "--count", "2", "--seed", "3", "--kind", "taiwan"]) == 0
    truth = json.loads((tmp_path / "truth.json").read_text("utf-8"))
    assert {name: facts["kind"] for name, facts in truth.items()} == {"0001.jpg": "taiwan", "0002.jpg": "taiwan"}
    assert {Image.open(io.BytesIO((tmp_path / name).read_bytes())).format for name in truth} == {"JPEG"}


def test_a_card_of_a_seed_does_not_depend_on_how_many_are_drawn(tmp_path: Path) -> None:
    for count in ("1", "2"):
        __main__.main(["--out", str(tmp_path / count), "--count", count, "--seed", "4"])
    assert (tmp_path / "1" / "0001.jpg").read_bytes() == (tmp_path / "2" / "0001.jpg").read_bytes()
