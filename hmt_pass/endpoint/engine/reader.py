"""The engine: a picture in, a permit out.

One look at low resolution is enough for most cards, because lines are found there and read at full resolution. Fields
that are not sure then get a closer look at their places on the card.
"""

import threading
from pathlib import Path
from typing import Self, cast

import cv2
import numpy as np

from hmt_pass.codes import Code
from hmt_pass.endpoint import system
from hmt_pass.endpoint.engine import closeup, fields, layout, portrait
from hmt_pass.endpoint.engine.alphabets import Alphabets
from hmt_pass.endpoint.engine.anchors import anchor_of
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.fields import Fields
from hmt_pass.endpoint.engine.geometry import Picture
from hmt_pass.endpoint.engine.layout import Transform
from hmt_pass.endpoint.engine.look import Look
from hmt_pass.endpoint.engine.page import Page
from hmt_pass.endpoint.engine.reading import Corners, Reading, Verdict
from hmt_pass.endpoint.engine.text import Line, TextReader
from hmt_pass.errors import ImageRejectedError

FIRST_LOOK_PX, SECOND_LOOK_PX = 512, 800
"""Long side of the picture in which lines are looked for (512 finds most cards of phone photos)."""

_MIN_FIELDS = 3
_LARGE_BYTES = 48_000_000  # 16 million pixels: more than phones take, less than the API allows


class Reader:
    """Reads permits. One is enough for a process: reading is safe from several threads."""

    def __init__(self, text: TextReader) -> None:
        self._text = text
        self._alphabets = Alphabets.of(text.recognizer.known)
        self._one_at_a_time = threading.Lock()

    @classmethod
    def load(cls, models: Path | None = None) -> Self:
        """A reader with its models loaded, from `models` or the installed carrier. Raises SettingsError."""
        system.keep_memory_small()
        return cls(TextReader.load(models))

    def read(self, picture: bytes) -> Reading | None:
        """The permit in a JPEG, PNG or BMP; None when there is none. Raises ImageRejectedError (1015)."""
        with self._one_at_a_time:
            pixels = _decode(picture)
            if pixels.nbytes > _LARGE_BYTES:
                return self._read_large(pixels)
        return self.read_pixels(pixels)

    def _read_large(self, pixels: Picture) -> Reading | None:
        """`read_pixels` while no other picture is decoded, so that there is never more than one so large."""
        try:
            return self.read_pixels(pixels)
        finally:
            system.give_back_memory()

    def read_pixels(self, picture: Picture) -> Reading | None:
        """`read` for a decoded picture."""
        page = self._page(picture)
        if page is None:
            return None
        page, found = self._look_closer(picture, page)
        known = sum(bool(one.value) for one in found.found.values())
        return _reading(picture, page, found, found.kind) if found.kind and known >= _MIN_FIELDS else None

    def _page(self, picture: Picture) -> Page | None:
        """The lines of the picture's card; a second look where the first one sees text and no card."""
        look = Look(self._text, picture, self._alphabets)
        page = look.at(FIRST_LOOK_PX)
        return page if look.is_firm or not look.lines else look.at(SECOND_LOOK_PX)

    def _look_closer(self, picture: Picture, page: Page) -> tuple[Page, Fields]:
        """The fields, after as close a look as the doubtful ones among them need."""
        found = fields.read(page, self._alphabets)
        for closer in (closeup.search, closeup.search, closeup.read_places):
            if found.doubtful:
                lines = closer(self._text, picture, page.transform, found.doubtful)
                page = self._arranged([*(item.line for item in page.items), *lines], page.transform)
                found = fields.read(page, self._alphabets)
        return page, found

    def _arranged(self, lines: list[Line], transform: Transform) -> Page:
        """The page of these lines, put in their place as well as all of them tell."""
        anchors = [anchor for line in lines if (anchor := anchor_of(line, self._alphabets))]
        located = layout.locate(anchors)
        return Page.of(lines, transform if located is None else located, self._alphabets)


def _decode(picture: bytes) -> Picture:
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise ImageRejectedError(Code.NOT_AN_IMAGE, "the pixels cannot be decoded")
    return cast(Picture, decoded)


def _reading(picture: Picture, page: Page, found: Fields, kind: Kind) -> Reading:
    return Reading(
        kind=kind,
        permit=found.permit,
        verdict=Verdict.REVIEW if found.doubtful else Verdict.ACCEPT,
        confidence={name: one.confidence for name, one in found.found.items()},
        boxes={name: _corners(name, found, page) for name, one in found.found.items() if one.value},
        has_portrait=portrait.is_printed(picture, page.transform),
    )


def _corners(name: str, found: Fields, page: Page) -> Corners:
    """Where the field was read, or else where it is printed."""
    line = found.found[name].line
    corners = line.corners if line else layout.corners_in_picture(page.transform, fields.PLACES[name])
    return tuple((float(x), float(y)) for x, y in corners)
