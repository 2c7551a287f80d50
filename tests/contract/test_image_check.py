import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from hmt_pass.codes import Code
from hmt_pass.errors import ImageRejectedError
from hmt_pass.image import MAX_BYTES, ImageInfo, check
from hmt_pass.image.jpeg import MAX_SCANS


def picture(width_px: int = 64, height_px: int = 40, mode: str = "RGB") -> Image.Image:
    image = Image.linear_gradient("L").resize((width_px, height_px)).convert("RGB")
    ImageDraw.Draw(image).rectangle((0, 0, width_px // 2, height_px // 3), "red")
    return image.convert(mode)


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:  # noqa: ANN401  Pillow's own options
    file = BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def refusal(data: bytes) -> tuple[Code, str]:
    with pytest.raises(ImageRejectedError) as caught:
        check(data)
    return caught.value.code, caught.value.reason


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(header: bytes, *chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def png_header(width_px: int = 64, height_px: int = 40, depth: int = 8, colour_type: int = 0, **last: int) -> bytes:
    return struct.pack(">IIBBBBB", width_px, height_px, depth, colour_type, 0, 0, last.get("interlace", 0))


JPEG = encoded(picture(), "JPEG")
VALID = {
    "baseline JPEG": JPEG,
    "grey JPEG": encoded(picture(mode="L"), "JPEG"),
    "progressive JPEG": encoded(picture(), "JPEG", progressive=True),
    "JPEG with restart markers": encoded(picture(200, 400), "JPEG", restart_marker_blocks=1),
    "JPEG with EXIF and comment": encoded(picture(), "JPEG", exif=b"Exif\0\0MM\0*", comment=b"hello"),
    "CMYK JPEG": encoded(picture(mode="CMYK"), "JPEG"),
    "PNG": encoded(picture(), "PNG"),
    "palette PNG": encoded(picture().quantize(16), "PNG"),
    "PNG with alpha": encoded(picture(mode="RGBA"), "PNG"),
    "16-bit PNG": encoded(Image.new("I;16", (64, 40), 300), "PNG"),
    "interlaced PNG": png(png_header(interlace=1), chunk(b"IDAT", b"x")),
    "BMP": encoded(picture(), "BMP"),
    "palette BMP": encoded(picture().quantize(16), "BMP"),
    "bilevel BMP": encoded(picture(mode="1"), "BMP"),
    "32-bit BMP": encoded(picture(mode="RGBA"), "BMP"),
}
by_name = pytest.mark.parametrize("data", VALID.values(), ids=VALID.keys())


@by_name
def test_a_whole_image_passes_with_its_format_and_size(data: bytes) -> None:
    info = check(data)
    with Image.open(BytesIO(data)) as opened:
        assert ImageInfo(opened.format, *opened.size) == info  # type: ignore[arg-type]  # one of the three


@by_name
def test_no_image_passes_when_its_end_is_missing(data: bytes) -> None:
    for length in {*range(min(len(data), 700)), *range(0, len(data), 97), *range(len(data) - 60, len(data))}:
        assert refusal(data[:length])[0] is Code.NOT_AN_IMAGE


@given(st.sampled_from(list(VALID.values())), st.data())
@settings(deadline=None, max_examples=300)
def test_whatever_is_overwritten_nothing_but_a_refusal_comes_out(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 8))):
        damaged[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(ImageRejectedError):
        assert isinstance(check(bytes(damaged)), ImageInfo)


@given(st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"]), st.binary(max_size=300))
@settings(deadline=None, max_examples=300)
def test_random_bytes_never_pass(start: bytes, noise: bytes) -> None:
    assert refusal(start + noise)[0] in {Code.NOT_AN_IMAGE, Code.BAD_IMAGE_SIZE_OR_FORMAT}


@given(st.integers(0), st.integers(1, 255))
@settings(deadline=None)
def test_no_changed_byte_of_a_png_goes_unseen(position: int, change: int) -> None:
    data = bytearray(VALID["PNG"])
    data[position % len(data)] ^= change
    assert refusal(bytes(data))[0] in {Code.NOT_AN_IMAGE, Code.BAD_IMAGE_SIZE_OR_FORMAT}


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize(
    ("width_px", "height_px", "passes"),
    [(9, 9, True), (8, 9, False), (9, 8, False), (4800, 9, True), (9, 4800, True), (4801, 9, False), (9, 4801, False)],
)
def test_each_side_is_over_8_and_at_most_4800_px(name: str, width_px: int, height_px: int, passes: bool) -> None:
    data = encoded(Image.new("L", (width_px, height_px)), name)
    if passes:
        assert (width_px, height_px) == (check(data).width_px, check(data).height_px)
    else:
        code, reason = refusal(data)
        assert code is Code.BAD_IMAGE_SIZE_OR_FORMAT
        assert f"{width_px} x {height_px} px" in reason


def test_5_mb_pass_and_one_byte_more_does_not() -> None:
    full = JPEG + bytes(MAX_BYTES - len(JPEG))
    assert check(full).format == "JPEG"
    assert refusal(full + b"\0")[0] is Code.IMAGE_TOO_LARGE


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encoded(picture(), "GIF"), "GIF"),
        (encoded(picture(), "WEBP"), "WEBP"),
        (encoded(picture(), "TIFF"), "TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIF"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
    ],
)
def test_another_image_format_is_named_as_such(data: bytes, name: str) -> None:
    code, reason = refusal(data)
    assert code is Code.BAD_IMAGE_SIZE_OR_FORMAT
    assert reason.startswith(name)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"\0\0\0\x18ftypmp42\0\0\0\0", b"<html>", b"\xff\xd8"])
def test_what_is_no_image_is_refused_as_such(data: bytes) -> None:
    assert refusal(data)[0] is Code.NOT_AN_IMAGE


def segment(marker: int, body: bytes = b"") -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def inserted(data: bytes, marker: bytes, extra: bytes) -> bytes:
    """`extra` before the first `marker`."""
    position = data.index(marker)
    return data[:position] + extra + data[position:]


FRAME, SCAN = b"\xff\xc0", b"\xff\xda"


@pytest.mark.parametrize(
    "data",
    [
        JPEG + b"SEFT" + bytes(500),
        JPEG + JPEG,
        inserted(JPEG, FRAME, b"\xff" * 5),
        JPEG[:-2] + b"\xff\xff\xff\xd9",
        inserted(JPEG, FRAME, segment(0xE1, b"\xff\xd9 an end marker inside a segment")),
        inserted(JPEG, FRAME, segment(0xED) + segment(0xFE, b"comment") + segment(0xDD, b"\0\0")),
    ],
    ids=["maker's trailer", "second image", "fill bytes", "fill before the end", "thumbnail", "empty segments"],
)
def test_what_phones_write_around_a_picture_is_accepted(data: bytes) -> None:
    assert (check(data).width_px, check(data).height_px) == (64, 40)


RESTARTING = VALID["JPEG with restart markers"]


@pytest.mark.parametrize(
    "data",
    [
        inserted(JPEG, FRAME, b"junk"),
        inserted(JPEG, FRAME, segment(0xC0, b"\x08\0\x28\0\x40\x01")),
        inserted(JPEG, FRAME, b"\xff\xd8"),
        inserted(JPEG, SCAN, b"\xff\xc0\0\x05\x08\0\x28"),
        JPEG[: JPEG.index(FRAME)] + JPEG[JPEG.index(SCAN) :],
        JPEG[: JPEG.index(FRAME)] + segment(0xC0, b"\x08\0") + JPEG[JPEG.index(SCAN) :],
        JPEG[: JPEG.index(SCAN)] + b"\xff\xd9",
        JPEG[:-20] + b"\xff\xc0" + JPEG[-20:],
        JPEG[:-20] + b"\xff\x01" + JPEG[-20:],
        RESTARTING.replace(b"\xff\xd3", b"\xff\xd4", 1),
        inserted(JPEG, FRAME, b"\xff\xe0\0\x01"),
    ],
    ids=[
        "junk between segments", "two frames", "two starts", "cut second frame", "scan without frame", "cut frame",
        "no scan", "frame inside the scan", "illegal marker inside the scan", "lost restart", "length under two",
    ],
)  # fmt: skip
def test_a_jpeg_whose_structure_is_broken_is_damaged(data: bytes) -> None:
    assert refusal(data)[0] is Code.NOT_AN_IMAGE


@pytest.mark.parametrize(
    "data",
    [
        JPEG.replace(FRAME, b"\xff\xc3"),
        JPEG.replace(FRAME + b"\0\x11\x08", FRAME + b"\0\x11\x0c"),
        JPEG[:-2] + JPEG[JPEG.index(SCAN) : -2] * MAX_SCANS + b"\xff\xd9",
    ],
    ids=["lossless", "12 bits", "endless scans"],
)
def test_a_jpeg_of_a_kind_that_nobody_takes_photos_in_is_not_allowed(data: bytes) -> None:
    assert refusal(data)[0] is Code.BAD_IMAGE_SIZE_OR_FORMAT


DATA = chunk(b"IDAT", zlib.compress(bytes(65 * 40)))


@pytest.mark.parametrize(
    "data",
    [
        png(png_header()),
        png(png_header(colour_type=3), DATA),
        png(png_header(depth=3), DATA),
        png(png_header(colour_type=5), DATA),
        png(png_header(interlace=2), DATA),
        png(png_header()[:-1], DATA),
        png(png_header(), chunk(b"IHDR", png_header()), DATA),
        png(png_header(), chunk(b"CgBI", b""), DATA),
        b"\x89PNG\r\n\x1a\n" + DATA,
    ],
)
def test_a_png_whose_structure_is_broken_is_damaged(data: bytes) -> None:
    assert refusal(data)[0] is Code.NOT_AN_IMAGE


def bmp(depth: int = 24, compression: int = 0, coded_bytes: int = 0, height_px: int = 10, **other: int) -> bytes:
    """A BMP of 10 px width with 400 bytes of pixels."""
    info = struct.pack(
        "<IiiHHIIIIII", other.get("header_bytes", 40), other.get("width_px", 10), height_px, other.get("planes", 1),
        depth, compression, coded_bytes, 0, 0, 0, 0,
    )  # fmt: skip
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, other.get("pixels_at", 54)) + info + bytes(400)


def test_a_bmp_may_be_stored_from_the_top_or_with_the_oldest_header() -> None:
    assert check(bmp(height_px=-10)) == ImageInfo("BMP", 10, 10)
    core = b"BM" + struct.pack("<IHHIIHHHH", 0, 0, 0, 26, 12, 10, 10, 1, 24) + bytes(320)
    assert check(core) == ImageInfo("BMP", 10, 10)
    assert refusal(core[:-1])[0] is Code.NOT_AN_IMAGE


def test_a_run_length_coded_bmp_is_measured_by_its_declared_size() -> None:
    assert check(bmp(8, compression=1, coded_bytes=400)).format == "BMP"
    assert refusal(bmp(8, compression=1, coded_bytes=401))[0] is Code.NOT_AN_IMAGE


@pytest.mark.parametrize(
    "data", [bmp(planes=0), bmp(header_bytes=13), bmp(width_px=-10), bmp(pixels_at=0), bmp(height_px=2**31 - 1)]
)
def test_a_bmp_whose_header_contradicts_itself_is_damaged(data: bytes) -> None:
    assert refusal(data)[0] is Code.NOT_AN_IMAGE


@pytest.mark.parametrize("data", [bmp(24, compression=4), bmp(7), bmp(24, compression=1)])
def test_a_bmp_of_a_rare_kind_is_not_allowed(data: bytes) -> None:
    assert refusal(data)[0] is Code.BAD_IMAGE_SIZE_OR_FORMAT
