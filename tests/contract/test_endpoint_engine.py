"""The real engine on specimens, and the real process around it."""

import contextlib
import io
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import requests
from PIL import Image, ImageDraw

from hmt_pass import signing
from hmt_pass.endpoint import __main__
from hmt_pass.endpoint.app import PATH
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reader import Reader
from hmt_pass.endpoint.engine.reading import Verdict
from hmt_pass.endpoint.specimen import Identity, Level, draw, encode, face, fonts, invent
from hmt_pass.errors import ImageRejectedError

ACCOUNT = {"HMT_PASS_API_ID": "an-account", "HMT_PASS_API_SECRET": "a-secret"}


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.load()


def specimen(seed: int, level: Level = Level.CLEAN, kind: Kind = Kind.HK_MACAU) -> tuple[Identity, Image.Image]:
    rng = random.Random(f"engine {seed}")
    identity = invent(rng, (kind,))
    return identity, draw(identity, level, rng)


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def test_the_runtime_below_the_engine_keeps_no_record_of_its_use(tmp_path: Path) -> None:
    one_reading = "import numpy; from hmt_pass.endpoint.engine.reader import Reader as R;"
    one_reading += "R.load().read_pixels(numpy.zeros((64, 64, 3), 'uint8'))"
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", one_reading], env=os.environ | home, check=True)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("level", [Level.CLEAN, Level.PHONE])
def test_a_card_is_read_whole(reader: Reader, kind: Kind, level: Level) -> None:
    identity, picture = specimen(1, level, kind)
    found = reader.read(encode(picture, level, random.Random(1)))
    assert found is not None
    assert (found.kind, found.permit, found.verdict) == (kind, identity.permit, Verdict.ACCEPT)
    assert found.has_portrait


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270])
def test_a_turned_card_is_read_whole(reader: Reader, turn: Image.Transpose) -> None:
    identity, picture = specimen(2)
    found = reader.read(png(picture.transpose(turn)))
    assert found is not None
    assert found.permit == identity.permit


def test_the_orientation_that_a_camera_noted_is_applied_and_boxes_are_in_the_picture_as_shown(reader: Reader) -> None:
    identity, picture = specimen(7)
    exif = picture.getexif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    out = io.BytesIO()
    picture.transpose(Image.Transpose.ROTATE_90).save(out, "JPEG", quality=92, exif=exif)
    found = reader.read(out.getvalue())
    assert found is not None
    left, top = np.array(found.boxes["name_chn"]).min(axis=0)
    assert found.permit == identity.permit
    assert (0.25 < left / picture.width < 0.5, 0.15 < top / picture.height < 0.4) == (True, True)


def files(picture: Image.Image) -> Iterator[bytes]:
    pixels = np.asarray(picture)[:, :, ::-1]
    yield cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes()
    for mode, name in (("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("RGB", "BMP")):
        out = io.BytesIO()
        picture.convert(mode).save(out, name)
        yield out.getvalue()


def test_every_way_to_write_pixels_is_read(reader: Reader) -> None:
    identity, picture = specimen(8)
    numbers = {found.permit.card_num for data in files(picture) if (found := reader.read(data))}
    assert numbers == {identity.number}


def test_a_jpeg_that_ends_too_early_is_read_as_far_as_it_goes_or_refused(reader: Reader) -> None:
    identity, picture = specimen(9)
    data = encode(picture, Level.CLEAN, random.Random(9))
    for share in (0.1, 0.6):
        with contextlib.suppress(ImageRejectedError):
            found = reader.read(data[: int(len(data) * share)])
            assert found is None or found.verdict is Verdict.REVIEW
    assert identity.number


def test_fields_of_two_cards_in_one_picture_are_not_mixed(reader: Reader) -> None:
    (identity, first), (_, second) = specimen(10), specimen(11)
    both = Image.new("RGB", (first.width, first.height + second.height))
    both.paste(first, (0, 0))
    both.paste(second.resize((second.width * 3 // 4, second.height * 3 // 4)), (0, first.height))
    found = reader.read(png(both))
    assert found is not None
    assert found.permit == identity.permit


def on_print(card: Image.Image, letters_px: int, lines: int) -> Image.Image:
    """A card on a page of larger print."""
    page = Image.new("RGB", (2 * card.width, 2 * card.height), "white")
    pen, font = ImageDraw.Draw(page), fonts.load(fonts.SANS, letters_px)
    rows = lines // 4
    for number in range(lines):
        at = number % 4 * page.width // 4, number // 4 * page.height // rows
        pen.text(at, f"第{number}行印刷文字", "black", font)
    page.paste(card, (card.width // 2, card.height // 2))
    return page


@pytest.mark.parametrize("lines", [80, 100])
def test_a_card_is_found_among_many_lines_of_larger_print(reader: Reader, lines: int) -> None:
    identity, picture = specimen(13)
    found = reader.read(png(on_print(picture, 60, lines)))
    assert found is not None
    assert found.permit == identity.permit


@pytest.mark.parametrize("level", [Level.CLEAN, Level.HARD])
def test_a_card_without_its_portrait_is_told(reader: Reader, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "_portraits", lambda *_: None)
    _, picture = specimen(12, level)
    blank = reader.read(png(picture))
    assert blank is not None
    assert not blank.has_portrait


def test_a_small_blurred_card_gets_a_closer_look(reader: Reader) -> None:
    identity, picture = specimen(3)
    small = picture.resize((picture.width * 2 // 5, picture.height * 2 // 5), Image.Resampling.BILINEAR)
    found = reader.read(png(small))
    assert found is not None
    assert found.permit.card_num == identity.permit.card_num


@pytest.mark.parametrize("picture", [Image.new("RGB", (9, 9)), Image.effect_noise((600, 400), 60).convert("RGB")])
def test_a_picture_without_a_card_has_no_permit(reader: Reader, picture: Image.Image) -> None:
    assert reader.read(png(picture)) is None


def test_a_text_that_is_no_permit_is_none(reader: Reader) -> None:
    identity, picture = specimen(4)
    left_half = picture.crop((0, 0, picture.width // 3, picture.height // 2))
    assert (reader.read(png(left_half)), identity.kind) == (None, Kind.HK_MACAU)


def test_reading_is_the_same_from_pixels(reader: Reader) -> None:
    identity, picture = specimen(5)
    found = reader.read_pixels(np.ascontiguousarray(np.asarray(picture)[:, :, ::-1]))
    assert found is not None
    assert found.permit == identity.permit


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "hmt_pass.endpoint", "--port", "0"]
    environment = os.environ | ACCOUNT
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        yield started
        started.kill()


def test_the_process_says_when_it_is_ready_reads_a_card_and_stops_at_once(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    ready = re.fullmatch(r"endpoint ready (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
    assert ready is not None
    timestamp = signing.timestamp()
    identity, picture = specimen(6)
    call = {"api_id": "an-account", "timestamp": timestamp, "sign": signing.sign("an-account", "a-secret", timestamp)}
    image = {"file": encode(picture, Level.CLEAN, random.Random(6))}
    body = requests.post(ready[1] + PATH, params=call, files=image, timeout=30).json()
    process.send_signal(signal.SIGTERM)
    _, logged = process.communicate(timeout=10)
    assert (body["data"]["cardNum"], process.returncode) == (identity.number, 0)
    assert [text for text in (identity.number, identity.name.characters, call["sign"]) if text in logged] == []


def test_a_missing_account_is_said_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", {})
    for name in ACCOUNT:
        monkeypatch.delenv(name, raising=False)
    assert __main__.main(["--port", "0"]) == 2
    assert "HMT_PASS_API_ID" in capsys.readouterr().err
