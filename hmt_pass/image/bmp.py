"""The structure of a BMP file (Microsoft, BITMAPFILEHEADER and BITMAPINFOHEADER): declared sizes against the bytes."""

import struct
from typing import NamedTuple

from hmt_pass.image import exif
from hmt_pass.image.structure import Structure, damaged, not_allowed

SIGNATURE = b"BM"

_FILE_HEADER_BYTES = 14
_CORE_HEADER_BYTES = 12
_INFO_HEADER_BYTES = 40
_UNCOMPRESSED, _RLE8, _RLE4, _BIT_FIELDS, _ALPHA_BIT_FIELDS = 0, 1, 2, 3, 6
_DEPTHS = {
    _UNCOMPRESSED: {1, 4, 8, 16, 24, 32},
    _RLE8: {8},
    _RLE4: {4},
    _BIT_FIELDS: {16, 32},
    _ALPHA_BIT_FIELDS: {16, 32},
}
_PLAIN_DEPTHS = {1, 4, 8, 24}


class _Header(NamedTuple):
    width_px: int
    height_px: int
    depth: int
    compression: int
    coded_bytes: int


def walk(data: bytes) -> Structure:
    """The structure of a whole BMP; raises ImageRejectedError for a cut or damaged (1015) or unusual one (1016)."""
    header = _header(data)
    if header.depth not in _DEPTHS.get(header.compression, ()):
        raise not_allowed("this kind of BMP is not read; save it as JPEG")
    (pixels_at,) = struct.unpack_from("<I", data, 10)
    end = pixels_at + _pixel_bytes(header)
    if pixels_at < _FILE_HEADER_BYTES + _CORE_HEADER_BYTES or end > len(data):
        raise damaged("the BMP is cut off")
    return Structure(
        format="BMP",
        width_px=header.width_px,
        height_px=abs(header.height_px),
        is_plain=header.compression == _UNCOMPRESSED and header.depth in _PLAIN_DEPTHS,
        orientation=exif.UPRIGHT,
        is_scalable=False,
        clean=data,
    )


def _header(data: bytes) -> _Header:
    try:
        (header_bytes,) = struct.unpack_from("<I", data, _FILE_HEADER_BYTES)
        if header_bytes == _CORE_HEADER_BYTES:
            width_px, height_px, planes, depth = struct.unpack_from("<HHHH", data, 18)
            compression = coded_bytes = 0
        else:
            width_px, height_px, planes, depth, compression, coded_bytes = struct.unpack_from("<iiHHII", data, 18)
    except struct.error:
        raise damaged("the BMP is cut off") from None
    is_known = header_bytes == _CORE_HEADER_BYTES or header_bytes >= _INFO_HEADER_BYTES
    if not is_known or planes != 1 or width_px < 1:
        raise damaged("not a BMP")
    return _Header(width_px, height_px, depth, compression, coded_bytes)


def _pixel_bytes(header: _Header) -> int:
    """How many bytes the pixels take: declared when run-length coded, else rows padded to four bytes."""
    if header.compression in {_RLE8, _RLE4}:
        return header.coded_bytes
    return (header.width_px * header.depth + 31) // 32 * 4 * abs(header.height_px)
