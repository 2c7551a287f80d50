"""The engine: a picture in, a permit out.

One look at low resolution is enough for most cards, because lines are found there and read at full resolution. A card
that does not prove itself gets a second look, flattened to its own plane and twice as large.
"""

from pathlib import Path
from typing import Self, cast

import cv2
import numpy as np

from hmt_pass.codes import Code
from hmt_pass.endpoint.engine import card, fields, machine_readable, names, pinyin
from hmt_pass.endpoint.engine.fields import Alphabets, Fields
from hmt_pass.endpoint.engine.geometry import Picture, project, straighten
from hmt_pass.endpoint.engine.layout import Transform
from hmt_pass.endpoint.engine.page import Page, arrange
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.endpoint.engine.recognition import Alphabet
from hmt_pass.endpoint.engine.text import TextReader
from hmt_pass.errors import ImageRejectedError
from hmt_pass.permit import Permit

FIRST_LOOK_PX, SECOND_LOOK_PX = 512, 960
"""Long side of the picture in which lines are looked for (measured: 512 finds 93 % of phone photos' cards)."""

_FLAT_SCALE = 1.5  # px of the flattened card per card unit
_FLAT_MARGIN = 27  # card units around it, for a map that is a little off
_MIN_FIELDS = 3


class Reader:
    """Reads permits. One is enough for a process: reading is safe from several threads."""

    def __init__(self, text: TextReader) -> None:
        self._text = text
        known = text.recognizer.known
        spelt = (pinyin.characters() | {pinyin.SEPARATOR}, names.LETTERS, machine_readable.CHARACTERS)
        self._alphabets = Alphabets(*(Alphabet(known, characters) for characters in spelt))

    @classmethod
    def load(cls, models: Path | None = None) -> Self:
        """A reader with its models loaded, from `models` or the installed carrier. Raises SettingsError."""
        return cls(TextReader.load(models))

    def read(self, picture: bytes) -> Reading | None:
        """The permit in a JPEG, PNG or BMP; None when there is none. Raises ImageRejectedError (1015)."""
        decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise ImageRejectedError(Code.NOT_AN_IMAGE, "the pixels cannot be decoded")
        return self.read_pixels(cast(Picture, decoded))

    def read_pixels(self, picture: Picture) -> Reading | None:
        """`read` for a decoded picture."""
        page, found = self._look(picture, FIRST_LOOK_PX)
        if not found.complete and page.transform is not None:
            flat = _flatten(picture, page.transform)
            found = better_of(found, self._look(flat, SECOND_LOOK_PX)[1])
        elif not found.complete and page.items:
            found = better_of(found, self._look(picture, SECOND_LOOK_PX)[1])
        known = sum(bool(value) for value in found.permit.to_wire().values())
        return Reading(found.kind, found.permit) if found.kind and known >= _MIN_FIELDS else None

    def _look(self, picture: Picture, long_side_px: int) -> tuple[Page, Fields]:
        page = arrange(self._text.lines(picture, long_side_px), self._alphabets.codes)
        return page, fields.read(page, self._alphabets)


def _flatten(picture: Picture, transform: Transform) -> Picture:
    """The card alone, flat and upright, with a little margin."""
    left, top, right, bottom = -_FLAT_MARGIN, -_FLAT_MARGIN, card.WIDTH + _FLAT_MARGIN, card.HEIGHT + _FLAT_MARGIN
    outline = project(np.linalg.inv(transform), [(left, top), (right, top), (right, bottom), (left, bottom)])
    return straighten(picture, outline, round((right - left) * _FLAT_SCALE), round((bottom - top) * _FLAT_SCALE))


def better_of(first: Fields, second: Fields) -> Fields:
    """The fields of two looks: those of the better look, and the other's where it has none."""
    better, other = (first, second) if _merit(first) > _merit(second) else (second, first)
    named = better if better.names_agree or not other.names_agree else other
    permit = Permit(
        card_num=better.permit.card_num or other.permit.card_num,
        name_chn=named.permit.name_chn,
        name_eng=named.permit.name_eng,
        birthday=better.permit.birthday or other.permit.birthday,
        sex=better.permit.sex or other.permit.sex,
        valid_date=better.permit.valid_date or other.permit.valid_date,
        address=better.permit.address or other.permit.address,
    )
    checks = max(first.checks, second.checks)
    return Fields(better.kind or other.kind, permit, named.names_agree, checks)


def _merit(found: Fields) -> tuple[int, bool, int]:
    return found.checks, found.names_agree, sum(bool(value) for value in found.permit.to_wire().values())
