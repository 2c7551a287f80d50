"""Pixels out of a file within a bound on memory; the only place where Pillow decodes.

Files are opened by their plugin's class, not by `Image.open`: that one refuses and warns by `Image.MAX_IMAGE_PIXELS`,
which the whole process shares and a web app may have set, and it would need the HEIF plugin registered for everybody.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from hmt_pass.errors import ImageRejectedError, NoRoomError
from hmt_pass.image import tiff
from hmt_pass.image.structure import damaged, not_allowed

# Width x height in the header: the largest common phone photo, 12000 x 9000, and some room. More is time to burn.
MAX_SOURCE_PIXELS = 128_000_000
# Pixels in memory, after the scaling that a JPEG decoder does while it reads; Pillow takes 4 bytes each, so 256 MB.
MAX_DECODED_PIXELS = 64_000_000


def _open_heif(file: BytesIO) -> ImageFile.ImageFile:
    # Imported here because many processes never see a HEIC and it takes 60 ms; it has no types.
    from pi_heif import HeifImageFile  # type: ignore[import-untyped]  # noqa: PLC0415

    open_file: Callable[[BytesIO], ImageFile.ImageFile] = HeifImageFile
    return open_file(file)


def _open_tiff(file: BytesIO) -> ImageFile.ImageFile:
    tiff.refuse_many_values(file.getvalue())
    return TiffImageFile(file)


_OPEN: dict[str, Callable[[BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "BMP": BmpImageFile,
    "HEIF": _open_heif,
    "WEBP": WebPImageFile,
    "TIFF": _open_tiff,
}


def opened(data: bytes, image_format: str, wanted_px: int, *, is_scalable: bool) -> ImageFile.ImageFile:
    """The first frame of `data`, to be loaded; an `is_scalable` one will be scaled towards `wanted_px`, not below.

    No pixel is decoded yet. Raises ImageRejectedError (1016) for a format that is not read and for too many pixels, and
    whatever a decoder raises: call it under `translated_errors`.
    """
    if image_format not in _OPEN:
        raise not_allowed(f"{image_format} is not read; send JPEG, PNG, BMP, HEIC, WebP or TIFF")
    image = _OPEN[image_format](BytesIO(data))
    _refuse_over(MAX_SOURCE_PIXELS, image)
    if is_scalable:
        image.draft(None, fitted(image.size, wanted_px))
    _refuse_over(MAX_DECODED_PIXELS, image)
    return image


def fitted(size_px: tuple[int, int], max_px: int) -> tuple[int, int]:
    """`size_px` scaled down, if it must be, so that its long side has `max_px`; no side under 1."""
    long_px = max(*size_px, max_px)
    width_px, height_px = (max(1, round(side_px * max_px / long_px)) for side_px in size_px)
    return width_px, height_px


def _refuse_over(max_pixels: int, image: Image.Image) -> None:
    if image.width * image.height > max_pixels:
        megapixels = f"{image.width * image.height / 1e6:.0f} megapixels; at most {max_pixels / 1e6:.0f} are decoded"
        raise not_allowed(f"the image has {megapixels}; send a smaller one")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turns whatever a decoder or encoder raises into ImageRejectedError: 1016 for want of memory, else 1015."""
    try:
        yield
    except (ImageRejectedError, NoRoomError):
        raise
    except (MemoryError, Image.DecompressionBombError):
        raise not_allowed("decoding the image needs more memory than there is; send a smaller one") from None
    except Exception:  # noqa: BLE001  on a damaged file decoders raise anything from SyntaxError to ZeroDivisionError
        raise damaged("the image cannot be decoded") from None
