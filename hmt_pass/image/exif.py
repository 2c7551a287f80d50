"""The one EXIF tag that changes how a photo is read: its orientation.

Read here and not by Pillow, whose parser warns when a camera wrote its other tags wrong.
"""

import struct

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_PREFIX = b"Exif\0\0"


def orientation(exif: bytes) -> int:
    """The orientation, 1 (upright) to 8, out of a TIFF block with or without JPEG's prefix; 1 when it has none.

    Source: EXIF 2.32, sections 4.5.4 and 4.6.4.
    """
    tiff = exif.removeprefix(_PREFIX)
    order = _BYTE_ORDERS.get(tiff[:4])
    try:
        value = _find(tiff, order) if order else UPRIGHT
    except struct.error:
        return UPRIGHT
    return value if UPRIGHT <= value <= 8 else UPRIGHT  # noqa: PLR2004  the eight ways EXIF knows


def _find(tiff: bytes, order: str) -> int:
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(count):
        tag, _type, _count, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * entry)
        if tag == _ORIENTATION_TAG:
            return int(value)
    return UPRIGHT
