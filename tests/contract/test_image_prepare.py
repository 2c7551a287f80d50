import struct
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import Any

import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageDraw, ImageFile, PngImagePlugin

from hmt_pass.codes import Code
from hmt_pass.errors import ImageRejectedError, NoRoomError
from hmt_pass.image import MAX_BYTES, MAX_INPUT_BYTES, check, decoding, prepare, repair
from hmt_pass.image.decoding import MAX_DECODED_PIXELS, MAX_SOURCE_PIXELS, opened
from hmt_pass.room import Room

SECRET = b"22.3193N 114.1694E"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(width_px: int = 64, height_px: int = 40, mode: str = "RGB") -> Image.Image:
    """Blue, with a red top left corner, so that every turn shows."""
    image = Image.new("RGB", (width_px, height_px), "blue")
    ImageDraw.Draw(image).rectangle((0, 0, width_px // 2, height_px // 2), "red")
    return image.convert(mode)


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:  # noqa: ANN401  Pillow's own options
    file = BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def exif(orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    tags[ExifTags.Base.ImageDescription] = SECRET.decode()
    return tags.tobytes()


def heif(image: Image.Image, **options: Any) -> bytes:  # noqa: ANN401  the encoder's own options
    file = BytesIO()
    pillow_heif.from_pillow(image).save(file, **options)
    return file.getvalue()


def pixels(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        return image.convert("RGB")


def corners(data: bytes) -> str:
    """r or b for top left, top right, bottom left, bottom right."""
    image = pixels(data)
    right, bottom = image.width - 4, image.height - 4
    colours = [image.getpixel(position) for position in ((3, 3), (right, 3), (3, bottom), (right, bottom))]
    return "".join("r" if colour[0] > 128 > colour[2] else "b" for colour in colours)  # type: ignore[index]  # RGB


def refusal(data: bytes) -> Code:
    with pytest.raises(ImageRejectedError) as caught:
        prepare(data)
    return caught.value.code


FINE = {
    "JPEG": encoded(picture(), "JPEG"),
    "grey JPEG": encoded(picture(mode="L"), "JPEG"),
    "progressive JPEG": encoded(picture(), "JPEG", progressive=True),
    "JPEG with colour profile": encoded(picture(), "JPEG", icc_profile=PROFILE),
    "PNG": encoded(picture(), "PNG"),
    "palette PNG": encoded(picture().quantize(16), "PNG"),
    "BMP": encoded(picture(), "BMP"),
}


@pytest.mark.parametrize("data", FINE.values(), ids=FINE.keys())
def test_a_fine_image_passes_untouched(data: bytes) -> None:
    assert prepare(data) is data


def png_with_metadata() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    text.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    text.add(b"tIME", bytes([7, 234, 11, 22, 1, 2, 3]))
    return encoded(picture(), "PNG", pnginfo=text, exif=exif(), icc_profile=PROFILE)


TAGGED = {
    "JPEG with EXIF, XMP and comment": encoded(picture(), "JPEG", exif=exif(), xmp=SECRET, comment=SECRET),
    "JPEG with trailer": FINE["JPEG"] + SECRET,
    "JPEG with a second image": FINE["JPEG"] + encoded(picture(), "JPEG", comment=SECRET),
    "JPEG with IPTC": FINE["JPEG"][:2] + b"\xff\xed\0\x14" + SECRET + FINE["JPEG"][2:],
    "PNG": png_with_metadata(),
    "PNG with trailer": FINE["PNG"] + SECRET,
}


@pytest.mark.parametrize("data", TAGGED.values(), ids=TAGGED.keys())
def test_metadata_alone_is_cut_out_without_touching_a_pixel(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "opened", None)
    cleaned = prepare(data)
    assert SECRET not in cleaned
    assert ImageChops.difference(pixels(data), pixels(cleaned)).getbbox() is None
    assert prepare(cleaned) is cleaned


def test_what_decides_on_the_colours_survives_the_cut() -> None:
    for data in (encoded(picture(), "JPEG", exif=exif(), icc_profile=PROFILE, dpi=(300, 300)), png_with_metadata()):
        with Image.open(BytesIO(prepare(data))) as cleaned:
            assert cleaned.info["icc_profile"] == PROFILE
            assert "exif" not in cleaned.info


def test_an_animated_png_becomes_its_still_picture_without_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("RGB", (64, 40), "black")]
    data = encoded(picture(), "PNG", save_all=True, append_images=frames, default_image=True)
    monkeypatch.setattr(repair, "opened", None)
    assert corners(prepare(data)) == "rbbb"
    assert b"fdAT" not in prepare(data)


STORED = {1: "rbbb", 2: "brbb", 3: "bbbr", 4: "bbrb", 5: "rbbb", 6: "bbrb", 7: "bbbr", 8: "brbb"}
TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stored(orientation: int) -> Image.Image:
    """The picture as a camera held so stores it."""
    turn = TURNED[orientation]
    return picture() if turn is None else picture().transpose(turn)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_is_baked_in(orientation: int, image_format: str) -> None:
    data = encoded(stored(orientation), image_format, exif=exif(orientation))
    prepared = prepare(data)
    assert (check(prepared).width_px, check(prepared).height_px) == (64, 40)
    assert corners(prepared) == "rbbb"
    assert SECRET not in prepared


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_an_iphones_heic_becomes_an_upright_jpeg(orientation: int) -> None:
    prepared = prepare(heif(stored(orientation), exif=exif(orientation), quality=90))
    assert check(prepared).format == "JPEG"
    assert corners(prepared) == "rbbb"
    assert SECRET not in prepared


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_every_colour_mode_becomes_grey_or_rgb(mode: str) -> None:
    check(prepare(encoded(Image.new(mode, (20, 20)), "TIFF")))


def test_cmyk_keeps_its_colours() -> None:
    assert corners(prepare(encoded(picture(mode="CMYK"), "JPEG", quality=95))) == "rbbb"


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_becomes_white(image_format: str) -> None:
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert pixels(prepare(encoded(image, image_format))).getpixel((10, 10)) == (255, 255, 255)


def test_a_transparent_palette_colour_becomes_white() -> None:
    image = Image.new("P", (20, 20))
    image.putpalette([0, 0, 0])
    assert pixels(prepare(encoded(image, "PNG", transparency=0))).getpixel((10, 10)) == (255, 255, 255)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_16_bits_a_sample_become_8_without_turning_white(image_format: str) -> None:
    data = encoded(Image.new("I;16", (20, 20), 0x8000), image_format)
    assert pixels(prepare(data)).getpixel((10, 10)) == (128, 128, 128)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_a_sample_are_not_allowed(mode: str) -> None:
    assert refusal(encoded(Image.new(mode, (20, 20)), "TIFF")) is Code.BAD_IMAGE_SIZE_OR_FORMAT


@pytest.mark.parametrize("image_format", ["WEBP", "TIFF"])
def test_the_first_of_several_frames_is_taken(image_format: str) -> None:
    data = encoded(picture(), image_format, save_all=True, append_images=[Image.new("RGB", (64, 40), "black")])
    assert corners(prepare(data)) == "rbbb"


def test_the_colour_profile_stays_with_the_colours_it_is_for() -> None:
    turned = prepare(encoded(picture(), "JPEG", exif=exif(3), icc_profile=PROFILE))
    converted = prepare(encoded(picture(mode="CMYK"), "JPEG", icc_profile=PROFILE))
    with Image.open(BytesIO(turned)) as kept, Image.open(BytesIO(converted)) as dropped:
        assert (kept.info.get("icc_profile"), dropped.info.get("icc_profile")) == (PROFILE, None)


@pytest.mark.parametrize(
    ("size_px", "expected_px"), [((4900, 300), (4800, 294)), ((300, 9700), (148, 4800)), ((4801, 4801), (4800, 4800))]
)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_over_4800_px_is_scaled_to_4800_with_its_shape(
    size_px: tuple[int, int], expected_px: tuple[int, int], image_format: str
) -> None:
    prepared = prepare(encoded(picture(*size_px, mode="L"), image_format))
    assert expected_px == (check(prepared).width_px, check(prepared).height_px)


def test_over_5_mb_is_recompressed_to_fit() -> None:
    data = encoded(Image.effect_noise((1600, 1200), 90).convert("RGB"), "BMP")
    assert len(data) > MAX_BYTES
    info = check(prepare(data))
    assert (info.width_px, info.height_px) == (1600, 1200)


def test_what_no_quality_makes_small_enough_is_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "MAX_BYTES", 20_000)
    prepared = prepare(encoded(Image.effect_noise((400, 300), 90), "JPEG", quality=95))
    assert len(prepared) <= 20_000
    assert check(prepared).width_px in {300, 225, 169}


def test_metadata_that_makes_a_file_too_large_costs_no_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "opened", None)
    assert prepare(FINE["JPEG"] + bytes(MAX_BYTES)) == FINE["JPEG"]


@pytest.mark.parametrize(
    "data",
    [encoded(Image.new("L", (8, 100)), "JPEG"), encoded(Image.new("L", (9, 9600)), "PNG")],
    ids=["too small", "too small once scaled"],
)
def test_too_small_is_not_allowed(data: bytes) -> None:
    assert refusal(data) is Code.BAD_IMAGE_SIZE_OR_FORMAT


REPAIRED = {
    "turned JPEG": encoded(picture(200, 200), "JPEG", exif=exif(6)),
    "CMYK JPEG": encoded(picture(200, 200, "CMYK"), "JPEG"),
    "PNG with alpha": encoded(picture(mode="RGBA"), "PNG"),
    "WebP": encoded(picture(), "WEBP", exif=exif(6)),
    "TIFF": encoded(picture(), "TIFF", compression="tiff_lzw"),
    "HEIC": heif(picture(), exif=exif(6)),
}


@pytest.mark.parametrize("data", [*FINE.values(), *REPAIRED.values()], ids=[*FINE, *REPAIRED])
def test_an_image_cut_in_half_is_damaged(data: bytes) -> None:
    assert refusal(data[: len(data) // 2]) is Code.NOT_AN_IMAGE


@pytest.mark.parametrize("data", [b"", b"text", encoded(picture(), "GIF")[:3]])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refusal(data) is Code.NOT_AN_IMAGE


def test_a_format_that_is_not_read_is_named() -> None:
    with pytest.raises(ImageRejectedError, match="1016 GIF is not read"):
        prepare(encoded(picture(), "GIF"))


def test_a_file_too_large_to_look_at_is_refused() -> None:
    assert refusal(bytes(MAX_INPUT_BYTES + 1)) is Code.IMAGE_TOO_LARGE


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged TIFF tags; what matters here is what is raised
@given(st.sampled_from([*FINE.values(), *REPAIRED.values()]), st.data())
@settings(deadline=None, max_examples=200)
def test_whatever_is_cut_or_overwritten_nothing_but_a_refusal_comes_out(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data[: draw.draw(st.integers(len(data) // 4, len(data)))])
    for _ in range(draw.draw(st.integers(0, 6))):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(ImageRejectedError):
        check(prepare(bytes(damaged)))


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def bilevel_png(width_px: int, height_px: int) -> bytes:
    rows = zlib.compress(bytes((width_px // 8 + 1) * height_px))
    header = struct.pack(">IIBBBBB", width_px, height_px, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PEAK = r"""
import pathlib, re, sys
from hmt_pass.image import prepare
from hmt_pass.errors import ImageRejectedError

def peak_kb():
    # Not getrusage: its maximum begins with that of the process which started this one.
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1])

data = sys.stdin.buffer.read()
before_kb = peak_kb()
try:
    prepare(data)
except ImageRejectedError as error:
    print(error.code.value, (peak_kb() - before_kb) // 1024)
"""


def test_a_decompression_bomb_is_refused_before_memory_is_spent() -> None:
    bomb = bilevel_png(13_000, 13_000)
    assert len(bomb) < 100_000
    run = subprocess.run([sys.executable, "-W", "error", "-c", PEAK], input=bomb, capture_output=True, check=True)
    code, grown_mb = run.stdout.split()
    assert code == b"1016"
    assert int(grown_mb) < 20


def test_the_reason_names_the_bound_and_its_unit() -> None:
    with pytest.raises(ImageRejectedError, match="169 megapixels; at most 128 are decoded"):
        prepare(bilevel_png(13_000, 13_000))
    with pytest.raises(ImageRejectedError, match="81 megapixels; at most 64 are decoded"):
        prepare(bilevel_png(9_000, 9_000))


def test_the_bounds_take_the_photos_of_phones() -> None:
    assert MAX_DECODED_PIXELS > 8160 * 6120
    assert MAX_SOURCE_PIXELS > 12_000 * 9_000
    assert MAX_DECODED_PIXELS > 6_000 * 4_500


def test_a_baseline_jpeg_is_scaled_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded_px: list[tuple[int, int]] = []

    def spy(*args: Any, **options: Any) -> ImageFile.ImageFile:  # noqa: ANN401  passed through
        image = opened(*args, **options)
        decoded_px.append(image.size)
        return image

    monkeypatch.setattr(repair, "opened", spy)
    for progressive in (False, True):
        prepare(encoded(Image.new("L", (10_000, 100)), "JPEG", progressive=progressive))
    assert decoded_px == [(5_000, 50), (10_000, 100)]


def test_pillows_own_limit_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for data in (REPAIRED["turned JPEG"], REPAIRED["PNG with alpha"], REPAIRED["HEIC"]):
        check(prepare(data))


def test_running_out_of_memory_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*_args: object, **_options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(repair, "opened", too_much)
    assert refusal(REPAIRED["turned JPEG"]) is Code.BAD_IMAGE_SIZE_OR_FORMAT


class Counted:
    """Counts how many images are decoded at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = 0
        self._threads: list[int] = []
        monkeypatch.setattr(repair, "opened", self._opened)

    def _opened(self, *args: Any, **options: Any) -> ImageFile.ImageFile:  # noqa: ANN401  passed through
        image = opened(*args, **options)
        load = image.load

        def counted() -> Any:  # noqa: ANN401  passed through
            self._threads.append(threading.get_ident())  # more than once, where a plugin calls its own `load`
            self.most = max(self.most, len(set(self._threads)))
            try:
                return load()
            finally:
                self._threads.remove(threading.get_ident())

        image.load = counted  # type: ignore[method-assign]
        return image


def test_64_threads_repair_at_once_but_no_more_than_two_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    inputs = [*REPAIRED.values()] * 11
    with ThreadPoolExecutor(64) as threads:
        together = list(threads.map(prepare, inputs))
    assert 1 <= counted.most <= repair.MAX_CONCURRENT_REPAIRS
    assert [prepare(data) for data in inputs[:6]] * 11 == together


def test_a_large_picture_is_decoded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "MAX_DECODED_PIXELS", 100)
    counted = Counted(monkeypatch)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(prepare, [*REPAIRED.values()] * 4))
    assert counted.most == 1


def test_whoever_waits_for_a_turn_gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(1)
    monkeypatch.setattr(repair, "_repairs", room)
    with room.take(1, 0.0), pytest.raises(NoRoomError):
        prepare(REPAIRED["HEIC"], 0.01)
    check(prepare(REPAIRED["HEIC"], 10.0))


def test_an_image_that_needs_no_repair_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "_repairs", None)
    assert prepare(FINE["JPEG"], 0.0) is FINE["JPEG"]


def test_a_jpeg_made_of_a_million_segments_is_not_allowed() -> None:
    data = FINE["JPEG"]
    assert refusal(data[:2] + b"\xff\xfe\0\2\xff\xdb\0\2" * 500_000 + data[2:]) is Code.BAD_IMAGE_SIZE_OR_FORMAT


def test_a_png_made_of_a_million_chunks_is_not_allowed() -> None:
    data = FINE["PNG"]
    position = data.index(b"IDAT") - 4
    data = data[:position] + (chunk(b"teXt", b"") + chunk(b"IDAT", b"")) * 500_000 + data[position:]
    assert refusal(data) is Code.BAD_IMAGE_SIZE_OR_FORMAT


def tiff(*tags: tuple[int, int, int, int]) -> bytes:
    """A TIFF of one directory with these tags: number, type, count and value."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("kind", [1, 4], ids=["bytes", "longs"])
def test_a_tiff_made_of_a_million_strips_is_not_allowed(kind: int) -> None:
    assert refusal(tiff((273, kind, 1_000_000, 8))) is Code.BAD_IMAGE_SIZE_OR_FORMAT


def test_a_directory_inside_a_tiff_is_looked_at_too() -> None:
    outer, inner = tiff((34665, 4, 1, 26)), tiff((37500, 3, 1_000_000, 8))
    assert len(outer) == 26
    assert refusal(outer + inner[8:]) is Code.BAD_IMAGE_SIZE_OR_FORMAT


def test_a_tiff_whose_directories_point_at_themselves_or_nowhere_is_a_tiff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "TiffImageFile", lambda _: Image.new("RGB", (20, 20)))
    for position in (8, 10**9):
        check(prepare(tiff(*[(34665, 4, 1, position)] * 1000)))


@pytest.mark.parametrize(
    "tags",
    [
        b"", b"MM\0*", b"II*\0\xff\xff\xff\xff", b"XX*\0\x08\0\0\0", b"MM\0*\0\0\0\x08\0\x01",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0", b"MM\0*\0\0\0\x08\0\0\0\0\0\0",
    ],
)  # fmt: skip
def test_exif_that_says_nothing_usable_means_upright(tags: bytes) -> None:
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0" + tags)
    assert FINE["JPEG"] == prepare(data)
