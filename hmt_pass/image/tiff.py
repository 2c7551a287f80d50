"""What a TIFF announces in its directories (TIFF 6.0, section 2), before Pillow makes an object of every value."""

import struct
from contextlib import suppress

from hmt_pass.image.structure import not_allowed

# A palette or a transfer curve of 16 bits has 3 x 65,536. Five million values took 18 s and 0.8 GB, of ten million
# strips Pillow made objects for minutes.
MAX_VALUES = 200_000

_BLOBS = {1, 2, 6, 7}  # bytes and text: kept as they are
_SHORTS = {3, 8}
_STRIPS, _TILES = 273, 324
_DIRECTORIES = {34665, 34853, 40965}  # EXIF 2.32, section 4.6.3
_MAX_DEPTH = 2


def refuse_many_values(data: bytes) -> None:
    """Raises ImageRejectedError (1016) when a tag has over MAX_VALUES numbers, struct.error for a cut directory."""
    order = "<" if data.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    _look(data, order, directory, depth=0)


def _look(data: bytes, order: str, directory: int, depth: int) -> None:
    inner: dict[int, int] = {}  # of a tag that is there twice the last one counts
    (count,) = struct.unpack_from(f"{order}H", data, directory)
    for start in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, start)
        if values > MAX_VALUES and (kind not in _BLOBS or tag in {_STRIPS, _TILES}):
            raise not_allowed(f"the TIFF has {values} values in one tag; save it as JPEG")
        if tag in _DIRECTORIES:
            (inner[tag],) = struct.unpack_from(f"{order}{'H' if kind in _SHORTS else 'I'}", data, start + 8)
    for position in inner.values() if depth < _MAX_DEPTH else ():
        with suppress(struct.error):  # cameras write pointers to nowhere
            _look(data, order, position, depth + 1)
