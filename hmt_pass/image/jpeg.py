"""The structure of a JPEG file (ITU-T T.81, annex B): segments, scans, end marker. No pixel is decoded.

What cameras write is accepted: fill bytes before a marker, restart markers, tables between scans, and whatever follows
the end marker (a second image of the MPF kind, a maker's trailer).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from hmt_pass.image import exif
from hmt_pass.image.structure import Kept, Structure, bounded, damaged, not_allowed

SIGNATURE = b"\xff\xd8\xff"
# Encoders write up to a dozen scans. Each costs a pass over all pixels, so a file made of thousands is an attack.
MAX_SCANS = 100

_MARKER = re.compile(rb"\xff+([\xc0-\xfe])")
_MARKER_IN_SCAN = re.compile(rb"\xff([^\x00\xff])")
_END, _SCAN, _APP1, _COMMENT = 0xD9, 0xDA, 0xE1, 0xFE
_APPS = range(0xE0, 0xF0)
_RESTARTS = range(0xD0, 0xD8)
_TABLES = {0xC4, 0xCC, 0xDB, 0xDC, 0xDD, _COMMENT, *_APPS}
_ALL_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN_FRAMES, _ARITHMETIC_FRAMES = {0xC0, 0xC1, 0xC2}, {0xC9, 0xCA}
_PROGRESSIVE_FRAMES = {0xC2, 0xCA}
_KEPT_APPS = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}


class _Segment(NamedTuple):
    marker: int
    start: int
    payload: int
    end: int


@dataclass(slots=True)
class _Walk:
    """What the segments seen so far say."""

    frame: int | None = None
    size_px: tuple[int, int] = (0, 0)
    components: int = 0
    orientation: int = exif.UPRIGHT
    scans: int = 0
    kept: Kept = field(default_factory=Kept)


def walk(data: bytes) -> Structure:
    """The structure of a whole JPEG; raises ImageRejectedError for a cut, damaged (1015) or unusual one (1016)."""
    found = _Walk()
    found.kept.add(0, 2)
    for segment in bounded(_segments(data)):
        _take(found, segment, data)
    if not found.scans:
        raise damaged("the JPEG holds no picture")
    width_px, height_px = found.size_px
    return Structure(
        format="JPEG",
        width_px=width_px,
        height_px=height_px,
        is_plain=found.components in {1, 3} and found.frame in _HUFFMAN_FRAMES,
        orientation=found.orientation,
        is_scalable=found.frame not in _PROGRESSIVE_FRAMES,
        clean=found.kept.of(data),
    )


def _take(found: _Walk, segment: _Segment, data: bytes) -> None:
    if segment.marker in _ALL_FRAMES:
        _take_frame(found, segment, data)
    elif segment.marker == _SCAN:
        _take_scan(found)
    elif segment.marker == _APP1 and data.startswith(b"Exif\0", segment.payload):
        found.orientation = exif.orientation(data[segment.payload : segment.end])
    if not _is_metadata(segment, data):
        found.kept.add(segment.start, segment.end)


def _take_frame(found: _Walk, segment: _Segment, data: bytes) -> None:
    if found.frame is not None:
        raise damaged("the JPEG starts a second picture inside the first")
    if segment.end - segment.payload < 6:  # noqa: PLR2004  precision, height, width, number of components
        raise damaged("the JPEG's frame header is cut short")
    precision, height_px, width_px, components = struct.unpack_from(">BHHB", data, segment.payload)
    if precision != 8 or segment.marker not in _HUFFMAN_FRAMES | _ARITHMETIC_FRAMES:  # noqa: PLR2004  bits a sample
        raise not_allowed(
            "this kind of JPEG (lossless, hierarchical or over 8 bits) is not read; save it as a usual JPEG"
        )
    found.frame, found.size_px, found.components = segment.marker, (width_px, height_px), components


def _take_scan(found: _Walk) -> None:
    found.scans += 1
    if found.frame is None:
        raise damaged("the JPEG's picture comes before its size")
    if found.scans > MAX_SCANS:
        raise not_allowed(f"the JPEG has over {MAX_SCANS} scans; save it as a usual JPEG")


def _is_metadata(segment: _Segment, data: bytes) -> bool:
    if segment.marker not in _APPS:
        return segment.marker == _COMMENT
    kept = _KEPT_APPS.get(segment.marker)
    return kept is None or not data.startswith(kept, segment.payload)


def _segments(data: bytes) -> Iterator[_Segment]:
    """Every segment up to the end marker, a scan with its coded data; raises when the chain breaks."""
    position = 2
    while True:
        marker = _MARKER.match(data, position)
        if marker is None:
            raise damaged(f"the JPEG is cut off or damaged at byte {position}")
        if data[marker.start(1)] == _END:
            yield _Segment(_END, position, marker.end(), marker.end())
            return
        segment = _segment(data, position, marker)
        yield segment
        position = segment.end


def _segment(data: bytes, start: int, match: re.Match[bytes]) -> _Segment:
    marker, length_at = match[1][0], match.end()
    length = int.from_bytes(data[length_at : length_at + 2], "big")
    end = length_at + length
    if length < 2 or end > len(data) or marker not in _TABLES | _ALL_FRAMES | {_SCAN}:  # noqa: PLR2004  the length itself
        raise damaged(f"the JPEG is cut off or damaged at byte {start}")
    return _Segment(marker, start, length_at + 2, _scan_end(data, end) if marker == _SCAN else end)


def _scan_end(data: bytes, position: int) -> int:
    """Where the coded data that begins at `position` ends: at the first marker that is no restart marker."""
    for count, match in enumerate(_MARKER_IN_SCAN.finditer(data, position)):
        marker = match[1][0]
        if marker not in _RESTARTS:
            return match.start()
        if marker != _RESTARTS[count % len(_RESTARTS)]:
            raise damaged(f"the JPEG has lost a part of its picture before byte {match.start()}")
    raise damaged("the JPEG is cut off")
