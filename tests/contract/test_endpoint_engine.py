"""The real engine on specimens, and the real process around it."""

import io
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import requests
from PIL import Image

from hmt_pass import signing
from hmt_pass.endpoint import __main__
from hmt_pass.endpoint.app import PATH
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reader import Reader
from hmt_pass.endpoint.specimen import Identity, Level, draw, encode, invent

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


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("level", [Level.CLEAN, Level.PHONE])
def test_a_card_is_read_whole(reader: Reader, kind: Kind, level: Level) -> None:
    identity, picture = specimen(1, level, kind)
    found = reader.read(encode(picture, level, random.Random(1)))
    assert found is not None
    assert (found.kind, found.permit) == (kind, identity.permit)


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270])
def test_a_turned_card_is_read_whole(reader: Reader, turn: Image.Transpose) -> None:
    identity, picture = specimen(2)
    found = reader.read(png(picture.transpose(turn)))
    assert found is not None
    assert found.permit == identity.permit


def test_a_small_blurred_card_gets_a_second_look(reader: Reader) -> None:
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
