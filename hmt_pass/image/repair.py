"""The repair of what phones produce: turned, tagged, too large, or in a format that the API does not take."""

import time
from io import BytesIO

from PIL import Image, ImageFile

from hmt_pass.codes import Code
from hmt_pass.errors import ImageRejectedError
from hmt_pass.image.checking import MAX_BYTES, MAX_PX, check, foreign_format, refuse_small, structure_of
from hmt_pass.image.decoding import MAX_DECODED_PIXELS, fitted, opened, translated_errors
from hmt_pass.image.exif import UPRIGHT, orientation
from hmt_pass.image.structure import Structure, not_allowed
from hmt_pass.room import Room

# A 108-megapixel phone JPEG has 20 to 35 MB. Whoever reads the object from S3 can stop here.
MAX_INPUT_BYTES = 40 * 1024 * 1024
# A thread pool of 64 must not do 64 repairs at once. A pixel takes 12 bytes at most, of a WebP 16 (measured): 64
# megapixels have 1 GB to themselves, and of up to half as many two are repaired at a time.
MAX_CONCURRENT_REPAIRS = 2
NO_HURRY_S = 3600.0
# One JPEG segment; a colour profile of a camera has 0.5 to 4 KB.
_MAX_PROFILE_BYTES = 64 * 1024
_QUALITIES = (92, 85, 75)
_SHRINK = 0.75

_repairs = Room(MAX_CONCURRENT_REPAIRS)
# EXIF 2.32, section 4.6.4: what makes an image of each orientation upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def prepare(data: bytes, patience_s: float = NO_HURRY_S) -> bytes:
    """An image that `check` passes, upright, without metadata: the same object when it already is all that.

    Metadata alone is cut out without decoding. Otherwise the picture is decoded, turned upright, laid on white, scaled
    to MAX_PX and written as JPEG of at most MAX_BYTES. Of several frames the first is taken. Safe in many threads.

    Raises NoRoomError when its turn to be repaired has not come after `patience_s`, and ImageRejectedError: 1013 over
    MAX_INPUT_BYTES, 1015 not an image, cut off or damaged, 1016 too small, too many pixels to decode, or of a format
    that is not read.
    """
    if len(data) > MAX_INPUT_BYTES:
        problem = f"the file has {len(data)} bytes; at most {MAX_INPUT_BYTES} are repaired"
        raise ImageRejectedError(Code.IMAGE_TOO_LARGE, problem)
    structure = structure_of(data)
    if structure:
        refuse_small(structure.width_px, structure.height_px)
        if _is_fine(structure):
            return structure.clean
    with translated_errors():
        repaired = _repaired(data, structure, patience_s)
    check(repaired)
    return repaired


def _repaired(data: bytes, structure: Structure | None, patience_s: float) -> bytes:
    deadline = time.monotonic() + patience_s
    with _repairs.take(1, patience_s):
        image = _opened(data, structure)
    is_large = image.width * image.height > MAX_DECODED_PIXELS / MAX_CONCURRENT_REPAIRS
    with _repairs.take(MAX_CONCURRENT_REPAIRS if is_large else 1, max(0.0, deadline - time.monotonic())):
        image.load()
        return _encode(_upright(image, structure))


def _is_fine(structure: Structure) -> bool:
    fits = len(structure.clean) <= MAX_BYTES and max(structure.width_px, structure.height_px) <= MAX_PX
    return fits and structure.is_plain and structure.orientation == UPRIGHT


def _opened(data: bytes, structure: Structure | None) -> ImageFile.ImageFile:
    if structure is None:
        return opened(data, foreign_format(data) or "", MAX_PX, is_scalable=False)
    return opened(structure.clean, structure.format, MAX_PX, is_scalable=structure.is_scalable)


def _upright(decoded: Image.Image, structure: Structure | None) -> Image.Image:
    """The picture upright, in grey or RGB, at most MAX_PX a side, with nothing but its colour profile.

    HEIF and TIFF come upright from their decoder.
    """
    turn = _TURNS.get(structure.orientation if structure else orientation(decoded.info.get("exif") or b""))
    profile = decoded.info.get("icc_profile") or b""
    image = _plain(decoded)
    keeps_profile = image is decoded and len(profile) <= _MAX_PROFILE_BYTES
    image = _scaled(image, fitted(image.size, MAX_PX))
    image = image if turn is None else image.transpose(turn)
    image.info = {"icc_profile": profile} if profile and keeps_profile else {}
    return image


def _plain(image: Image.Image) -> Image.Image:
    """The image as 8-bit grey or RGB; transparent parts become white."""
    if image.mode in {"I", "F"}:
        raise not_allowed("the image has 32 bits a sample; save it as JPEG")
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        paper = Image.new("RGB", image.size, "white")
        paper.paste(coloured, mask=coloured)
        return paper
    if image.mode in {"L", "RGB"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _scaled(image: Image.Image, size_px: tuple[int, int]) -> Image.Image:
    return image if size_px == image.size else image.resize(size_px, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _encode(image: Image.Image) -> bytes:
    """A JPEG of at most MAX_BYTES: first the quality gives way, then the size."""
    while True:
        for quality in _QUALITIES:
            file = BytesIO()
            image.save(file, "JPEG", quality=quality, icc_profile=image.info.get("icc_profile"))
            if file.tell() <= MAX_BYTES:
                return file.getvalue()
        image = _scaled(image, fitted(image.size, int(max(image.size) * _SHRINK)))
