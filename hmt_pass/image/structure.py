"""What a walk over an image file's structure finds, without decoding a pixel."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from hmt_pass.codes import Code
from hmt_pass.errors import ImageRejectedError

Format = Literal["JPEG", "PNG", "BMP"]
Part = TypeVar("Part")

# The largest photos come in some 5,000. 40 MB made of empty ones took 55 s and 1.4 GB to walk over.
MAX_PARTS = 100_000


@dataclass(frozen=True, slots=True)
class Structure:
    """A complete, undamaged file: its format, its size in px and what a repair has to know.

    `is_plain`: 8-bit grey, palette or RGB without alpha, as every decoder reads it. `orientation`: EXIF's, 1 (upright)
    to 8. `is_scalable`: the decoder can shrink while it reads, so a large picture needs little memory. `clean` is the
    file without metadata and trailing bytes, and the very same object when it has neither.
    """

    format: Format
    width_px: int
    height_px: int
    is_plain: bool
    orientation: int
    is_scalable: bool
    clean: bytes


@dataclass(slots=True)
class Kept:
    """The parts of a file that stay, as one list of (start, end) without seams between neighbours."""

    spans: list[tuple[int, int]] = field(default_factory=list)

    def add(self, start: int, end: int) -> None:
        """Keep the bytes from `start` up to `end`."""
        if self.spans and self.spans[-1][1] == start:
            start = self.spans.pop()[0]
        self.spans.append((start, end))

    def of(self, data: bytes) -> bytes:
        """The kept bytes; `data` itself when nothing was left out."""
        if self.spans == [(0, len(data))]:
            return data
        return b"".join(data[start:end] for start, end in self.spans)


def bounded(parts: Iterator[Part]) -> Iterator[Part]:
    """The segments or chunks of a file; raises ImageRejectedError (1016) when there are over MAX_PARTS."""
    for number, part in enumerate(parts):
        if number == MAX_PARTS:
            raise not_allowed(f"the file has over {MAX_PARTS} parts; save it as a usual JPEG")
        yield part


def damaged(problem: str) -> ImageRejectedError:
    """The error for a file that is no image or not whole (1015)."""
    return ImageRejectedError(Code.NOT_AN_IMAGE, f"{problem}; take the photo again or send the original file")


def not_allowed(problem: str) -> ImageRejectedError:
    """The error for a whole image whose size or format the API does not take (1016)."""
    return ImageRejectedError(Code.BAD_IMAGE_SIZE_OR_FORMAT, problem)
