"""The image limits of the API text (section 1) and the check against them, from the header alone."""

from collections.abc import Callable
from dataclasses import dataclass

from hmt_pass.codes import Code
from hmt_pass.errors import ImageRejectedError
from hmt_pass.image import bmp, jpeg, png
from hmt_pass.image.structure import Format, Structure, damaged, not_allowed

# "小于等于 5 MB" leaves open which MB. The binary one is taken: services in Java, as the text's sample is, count so
# (Spring's DataSize), and refusing what the endpoint would read is final for the uploader; its own 1013 costs nothing.
MAX_BYTES = 5 * 1024 * 1024
MIN_PX_EXCLUSIVE = 8
MAX_PX = 4800

_WALKS: dict[bytes, Callable[[bytes], Structure]] = {
    jpeg.SIGNATURE: jpeg.walk,
    png.SIGNATURE: png.walk,
    bmp.SIGNATURE: bmp.walk,
}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the header says: the format by content, and the size in px as stored (EXIF orientation not applied)."""

    format: Format
    width_px: int
    height_px: int


def check(data: bytes) -> ImageInfo:
    """What `data` is, if the endpoint takes it as it is; no pixel is decoded.

    Raises ImageRejectedError with the business code that the endpoint would answer: 1013 over MAX_BYTES, 1015 not an
    image, cut off or damaged, 1016 another format, or a side outside 8 < px <= 4800.
    """
    if len(data) > MAX_BYTES:
        raise ImageRejectedError(
            Code.IMAGE_TOO_LARGE, f"the file has {len(data)} bytes; at most {MAX_BYTES} are allowed"
        )
    structure = structure_of(data)
    if structure is None:
        raise not_allowed(f"{foreign_format(data)} is not taken; send JPEG, PNG or BMP")
    width_px, height_px = structure.width_px, structure.height_px
    refuse_small(width_px, height_px)
    if max(width_px, height_px) > MAX_PX:
        raise not_allowed(f"the image is {width_px} x {height_px} px; each side may have at most {MAX_PX} px")
    return ImageInfo(structure.format, width_px, height_px)


def structure_of(data: bytes) -> Structure | None:
    """The structure of a JPEG, PNG or BMP; None for another image format. Raises ImageRejectedError (1015, 1016)."""
    for signature, walk in _WALKS.items():
        if data.startswith(signature):
            return walk(data)
    if foreign_format(data) is None:
        raise damaged("the file is not an image" if data else "the file is empty")
    return None


def foreign_format(data: bytes) -> str | None:
    """The name of an image format that the API does not take, by content; None when it is none that we know."""
    if data[4:8] == b"ftyp":
        return "HEIF" if data[8:12] in _HEIF_BRANDS else "AVIF" if data[8:12] in {b"avif", b"avis"} else None
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:4] in {b"II*\0", b"MM\0*"}:
        return "TIFF"
    return "GIF" if data[:6] in {b"GIF87a", b"GIF89a"} else None


def refuse_small(width_px: int, height_px: int) -> None:
    """Raises ImageRejectedError (1016) when a side is too short to be repaired."""
    if min(width_px, height_px) <= MIN_PX_EXCLUSIVE:
        raise not_allowed(f"the image is {width_px} x {height_px} px; each side must be over {MIN_PX_EXCLUSIVE} px")
