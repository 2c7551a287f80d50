"""The fonts of the two splits: Debian packages, none of them drawn by who drew the project's own specimens."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from PIL import ImageFont

_ROOT = Path("/usr/share/fonts")
_NO_CHARACTER = "\U0010fffd"  # a noncharacter's neighbour in a private plane: every font answers with its empty box
_PROBE_PX = 32


class Split(StrEnum):
    """`tune` is for whoever works on the engine; single cards of `report` are looked at by nobody who does."""

    TUNE = "tune"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class FontSet:
    """Fonts to draw with. `han` is sorted by preference: how often each is drawn falls from the first to the last."""

    han: tuple[Path, ...]
    latin: tuple[Path, ...]
    codes: Path
    """The typeface of the machine-readable line, OCR-B."""

    def all(self) -> tuple[Path, ...]:
        """Every font of the set."""
        return (*self.han, *self.latin, self.codes)


SETS = {
    Split.TUNE: FontSet(
        han=(
            _ROOT / "truetype/wqy/wqy-zenhei.ttc",
            _ROOT / "truetype/arphic/uming.ttc",
            _ROOT / "truetype/arphic/ukai.ttc",
        ),
        latin=(_ROOT / "truetype/dejavu/DejaVuSans.ttf", _ROOT / "truetype/dejavu/DejaVuSansCondensed.ttf"),
        codes=_ROOT / "opentype/ocr-b/OCRB.otf",
    ),
    Split.REPORT: FontSet(
        han=(
            _ROOT / "truetype/wqy/wqy-microhei.ttc",
            _ROOT / "truetype/lxgw-wenkai/LXGWWenKai-Regular.ttf",
            _ROOT / "truetype/arphic-gbsn00lp/gbsn00lp.ttf",
        ),
        latin=(
            _ROOT / "truetype/liberation/LiberationSans-Regular.ttf",
            _ROOT / "truetype/liberation/LiberationSansNarrow-Regular.ttf",
        ),
        codes=_ROOT / "opentype/ocr-b/OCRBS.otf",
    ),
}

PACKAGES = (
    "fonts-arphic-gbsn00lp",
    "fonts-arphic-ukai",
    "fonts-arphic-uming",
    "fonts-dejavu-core",
    "fonts-dejavu-extra",
    "fonts-liberation",
    "fonts-lxgw-wenkai",
    "fonts-ocr-b",
    "fonts-wqy-microhei",
    "fonts-wqy-zenhei",
)
"""The Debian packages that hold them."""


def missing(splits: Iterable[Split]) -> list[Path]:
    """The fonts of these splits that are not installed."""
    return [path for split in splits for path in SETS[split].all() if not path.exists()]


@cache
def font(path: Path, size_px: int) -> ImageFont.FreeTypeFont:
    """A font at a size. The basic layout engine: one glyph a character, the same everywhere."""
    return ImageFont.truetype(path, size_px, layout_engine=ImageFont.Layout.BASIC)


def covers(path: Path, text: str) -> bool:
    """Whether a font has every character of `text`."""
    return all(_has(path, character) for character in text)


@cache
def _has(path: Path, character: str) -> bool:
    return _picture(path, character) != _picture(path, _NO_CHARACTER)


def _picture(path: Path, character: str) -> tuple[object, bytes]:
    mask = font(path, _PROBE_PX).getmask(character)
    return mask.size, bytes(mask)
