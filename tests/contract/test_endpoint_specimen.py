"""The pictures of the generator of synthetic permits."""

import io
import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hmt_pass import image
from hmt_pass.endpoint.engine import pinyin
from hmt_pass.endpoint.specimen import Level, __main__, draw, encode, fonts, invent


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
    red, green, blue = np.asarray(picture, np.int16).transpose(2, 0, 1)
    assert np.sum((red > green + 60) & (red > blue + 60)) > 1000


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
