"""Damaged requests over real HTTP and damaged pictures through the real engine: answered or refused, never a crash."""

import io
import random
import re
import socket
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import requests
from endpoints import API_ID, API_SECRET, PERMIT, Endpoint, photo, running
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from hmt_pass import image, signing
from hmt_pass.endpoint.app import PATH
from hmt_pass.endpoint.engine.reader import Reader
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.endpoint.specimen import Level, draw, encode, invent
from hmt_pass.errors import ImageRejectedError

SEEDED = settings(derandomize=True, database=None, deadline=None)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.load()


def request(body: bytes, content_type: bytes = b"multipart/form-data; boundary=b", query: bytes = b"") -> bytes:
    head = b"POST %b?%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (PATH.encode(), query, content_type, len(body)) + body


def form(**texts: str) -> bytes:
    timestamp = signing.timestamp(now_s=1_800_000_000)
    signed = {"api_id": API_ID, "timestamp": timestamp, "sign": signing.sign(API_ID, API_SECRET, timestamp), **texts}
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + photo() + b"\r\n--b--\r\n"
    return "".join(part.format(*pair) for pair in signed.items()).encode() + file


def exchange(endpoint: Endpoint, sent: bytes) -> bytes:
    """What the endpoint says to these bytes; once it waits for more of them, nothing more comes from this side."""
    with closing(socket.create_connection(endpoint.url.removeprefix("http://").split(":"))) as connection:
        connection.settimeout(0.1)
        connection.sendall(sent)
        return b"".join(_said(connection))


def _said(connection: socket.socket) -> Iterator[bytes]:
    try:
        while chunk := _chunk(connection):
            yield chunk
    except ConnectionError:  # it closed before it had read all that was sent
        return


def _chunk(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except TimeoutError:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(20)
        return connection.recv(65536)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, most: int = 5) -> bytes:
    """`whole` after a few of its bytes were flipped, replaced, cut out or doubled, or its end was cut off."""
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, max(0, len(whole) - 1)))
        length = draw(st.sampled_from([1, 2, 4, 16, 64]))
        inserted = draw(
            st.sampled_from([b"", b"\0" * length, b"\xff" * length, whole[start : start + length] * 2])
            | st.binary(min_size=length, max_size=length)
        )
        cut = draw(st.sampled_from([length, length, length, len(whole)]))
        whole = whole[:start] + inserted + whole[start + cut :]
    return whole


def test_damaged_requests_are_answered_and_the_endpoint_lives(endpoint: Endpoint) -> None:
    codes: Counter[bytes] = Counter()

    @settings(SEEDED, max_examples=120)
    @given(
        damaged(request(form(hmt_flag="0")))
        | damaged(form(extension="boxes")).map(request)
        | damaged(b"multipart/form-data; boundary=b").map(lambda kind: request(form(), kind.replace(b"\n", b"")))
        | damaged(b"api_id=%E5%BC%A0&sign=0&url=http%3A%2F%2F127.0.0.1%3A1&hmt_flag=1").map(
            lambda query: request(b"", query=query.replace(b"\n", b""))
        )
        | st.binary(max_size=200)
    )
    @example(request(form()))
    @example(request(b"api_id=%FF", b"application/x-www-form-urlencoded"))
    @example(b"")
    def send(sent: bytes) -> None:
        answer = exchange(endpoint, sent)
        codes.update(re.findall(rb'"code":"(....)"', answer))
        assert not answer.startswith(b"HTTP/1.1 5")
        assert b'"code":"9999"' not in answer  # a request_id may well hold the digits

    send()
    assert {b"0000", b"1001", b"1002"} <= codes.keys(), codes
    assert endpoint.send()["code"] == "0000"


def _jpeg(picture: Image.Image, **options: object) -> bytes:
    return _file(picture, "JPEG", **options)


def _file(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _small() -> Image.Image:
    rng = random.Random("fuzz")
    return Image.frombytes("RGB", (48, 32), rng.randbytes(48 * 32 * 3))


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def _png(header: bytes, pixels: bytes, *more: tuple[bytes, bytes]) -> bytes:
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _with_checksums(png: bytes) -> bytes:
    """A damaged PNG whose checksums are right again, as far as its chunks can still be told apart."""
    mended, start = bytearray(png), 8
    while start + 12 <= len(png):
        end = start + 12 + int.from_bytes(png[start : start + 4], "big")
        if end > len(png):
            break
        struct.pack_into(">I", mended, end - 4, zlib.crc32(png[start + 4 : end - 4]))
        start = end
    return bytes(mended)


def _damaged_picture(kind: str) -> st.SearchStrategy[bytes]:
    whole = KINDS[kind]()
    broken = damaged(whole)
    if whole.startswith(b"\x89PNG"):
        broken = broken | broken.map(_with_checksums)
    return broken | st.just(whole)


def _bomb() -> bytes:
    """A PNG of 4800 x 4800 px, the most that is allowed, in 67 KB."""
    return _png(struct.pack(">IIBBBBB", 4800, 4800, 8, 2, 0, 0, 0), bytes(4800 * (1 + 4800 * 3)))


KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: _jpeg(_small()),
    "progressive": lambda: _jpeg(_small(), progressive=True),
    "grey": lambda: _jpeg(_small().convert("L")),
    "cmyk": lambda: _jpeg(_small().convert("CMYK")),
    "exif": lambda: _jpeg(_small(), exif=_exif()),
    "restarts": lambda: _jpeg(_small(), restart_marker_blocks=2),
    "png": lambda: _file(_small(), "PNG"),
    "16 bits": lambda: _file(_small().convert("I;16"), "PNG"),
    "palette": lambda: _file(_small().convert("P"), "PNG"),
    "one bit": lambda: _file(_small().convert("1"), "PNG"),
    "alpha": lambda: _file(_small().convert("RGBA"), "PNG"),
    "animated": lambda: _file(_small(), "PNG", save_all=True, append_images=[_small().rotate(90)]),
    "wrong size": lambda: _png(struct.pack(">IIBBBBB", 4000, 4000, 8, 2, 0, 0, 0), b"\0" * 100),
    "no pixels": lambda: _png(struct.pack(">IIBBBBB", 48, 32, 8, 2, 0, 0, 0), b""),
    "palette without colours": lambda: _png(struct.pack(">IIBBBBB", 48, 32, 8, 3, 0, 0, 0), b"\7" * 49 * 32),
    "bmp": lambda: _file(_small(), "BMP"),
    "bmp palette": lambda: _file(_small().convert("P"), "BMP"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_picture_passes_the_check_or_is_rejected(kind: str) -> None:
    @settings(SEEDED, max_examples=50)
    @given(_damaged_picture(kind))
    def check(picture: bytes) -> None:
        for step in (image.check, image.prepare):
            try:
                step(picture)
            except ImageRejectedError:
                continue

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_picture_is_read_or_rejected_by_the_engine(reader: Reader, kind: str) -> None:
    @settings(SEEDED, max_examples=6)
    @given(_damaged_picture(kind))
    def read(picture: bytes) -> None:
        assert _is_read_or_rejected(reader, picture)

    read()


def test_a_card_of_damaged_bytes_is_read_or_rejected_by_the_engine(reader: Reader) -> None:
    rng = random.Random("fuzz")
    card = encode(draw(invent(rng), Level.CLEAN, rng), Level.CLEAN, rng)

    @settings(SEEDED, max_examples=8)
    @given(damaged(card))
    def read(picture: bytes) -> None:
        assert _is_read_or_rejected(reader, picture)

    read()


def test_a_picture_that_grows_is_read_or_rejected_by_the_engine(reader: Reader) -> None:
    bomb = _bomb()
    assert len(bomb) < 100_000
    assert _is_read_or_rejected(reader, bomb)


def _is_read_or_rejected(reader: Reader, picture: bytes) -> bool:
    """The way of a picture through the endpoint: what passes the check goes to the engine."""
    try:
        image.check(picture)
        found = reader.read(picture)
    except ImageRejectedError:
        return True
    return found is None or isinstance(found, Reading)


def test_a_permit_can_be_read_after_all_that(endpoint: Endpoint) -> None:
    assert endpoint.send()["data"]["cardNum"] == PERMIT.card_num
    assert requests.get(endpoint.url + "/healthz", timeout=20).status_code == 200
