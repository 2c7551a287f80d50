"""The structure of a PNG file (W3C PNG, third edition): chunks, their checksums, end chunk. No pixel is decoded."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from hmt_pass.image import exif
from hmt_pass.image.structure import Kept, Structure, bounded, damaged

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_ALPHA_COLOUR_TYPES = {4, 6}
_PALETTE_COLOUR_TYPE = 3
_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
# What decides how the pixels look. The rest is text, times, EXIF, or the further frames of an animation.
_KEPT = _CRITICAL | {b"tRNS", b"cHRM", b"cICP", b"gAMA", b"iCCP", b"pHYs", b"sBIT", b"sRGB"}


class _Chunk(NamedTuple):
    type: bytes
    start: int
    end: int

    def body(self, data: bytes) -> bytes:
        return data[self.start + 8 : self.end - 4]


class _Header(NamedTuple):
    width_px: int
    height_px: int
    depth: int
    colour_type: int


@dataclass(slots=True)
class _Walk:
    """What the chunks seen so far say."""

    types: set[bytes] = field(default_factory=set)
    orientation: int = exif.UPRIGHT
    kept: Kept = field(default_factory=Kept)


def walk(data: bytes) -> Structure:
    """The structure of a whole PNG; raises ImageRejectedError (1015) for a cut or damaged one."""
    found = _Walk()
    found.kept.add(0, len(SIGNATURE))
    chunks = bounded(_chunks(data))
    header = _header(next(chunks), data, found)
    for chunk in chunks:
        _take(found, chunk, data)
    if b"IDAT" not in found.types or (header.colour_type == _PALETTE_COLOUR_TYPE and b"PLTE" not in found.types):
        raise damaged("the PNG holds no picture")
    return Structure(
        format="PNG",
        width_px=header.width_px,
        height_px=header.height_px,
        is_plain=header.depth <= 8 and header.colour_type not in _ALPHA_COLOUR_TYPES and b"tRNS" not in found.types,  # noqa: PLR2004  bits a sample
        orientation=found.orientation,
        is_scalable=False,
        clean=found.kept.of(data),
    )


def _header(chunk: _Chunk, data: bytes, found: _Walk) -> _Header:
    body = chunk.body(data)
    if chunk.type != b"IHDR" or len(body) != 13:  # noqa: PLR2004  IHDR's fixed length
        raise damaged("the PNG does not start with its header")
    width_px, height_px, depth, colour_type, compression, filtering, interlace = struct.unpack(">IIBBBBB", body)
    if depth not in _DEPTHS.get(colour_type, ()) or compression or filtering or interlace > 1:
        raise damaged("the PNG's header says what no PNG can be")
    found.kept.add(chunk.start, chunk.end)
    return _Header(width_px, height_px, depth, colour_type)


def _take(found: _Walk, chunk: _Chunk, data: bytes) -> None:
    if chunk.type[:1].isupper() and chunk.type not in _CRITICAL - {b"IHDR"}:
        raise damaged(f"the PNG has an unknown part at byte {chunk.start}")
    found.types.add(chunk.type)
    if chunk.type == b"eXIf":
        found.orientation = exif.orientation(chunk.body(data))
    if chunk.type in _KEPT:
        found.kept.add(chunk.start, chunk.end)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Every chunk up to the end chunk, its checksum compared; what follows the end chunk is ignored."""
    view, start = memoryview(data), len(SIGNATURE)
    while True:
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if end > len(data):
            raise damaged("the PNG is cut off")
        if zlib.crc32(view[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise damaged(f"the PNG is damaged between bytes {start} and {end}")
        chunk = _Chunk(data[start + 4 : start + 8], start, end)
        yield chunk
        if chunk.type == b"IEND":
            return
        start = end
