"""A closer look at single fields, once it is known where the card lies.

The part of the card around a field is flattened and searched for lines at its own scale; they are read in the picture
itself, so that nothing is resampled twice. Where no line is found, the printed place is read as it is.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from hmt_pass.endpoint.engine import layout
from hmt_pass.endpoint.engine.card import Box
from hmt_pass.endpoint.engine.geometry import Floats, Picture, project, straighten
from hmt_pass.endpoint.engine.layout import Transform
from hmt_pass.endpoint.engine.text import Line, TextReader

_SCALE = 1.25  # px of the flattened strip per card unit: a line of text is 30 px high there

_NAMES = Box(276, 112, 690, 226)
_CODE = Box(24, 450, 832, 526)
_STRIPS: dict[str, tuple[Box, ...]] = {
    "card_num": (Box(560, 34, 852, 116), _CODE),
    "name_chn": (_NAMES,),
    "name_eng": (_NAMES,),
    "birthday": (Box(278, 238, 620, 306), _CODE),
    "sex": (Box(480, 238, 640, 306),),
    "valid_date": (Box(278, 312, 690, 382), _CODE),
    "address": (Box(570, 380, 852, 450),),
}
_OFFSETS = (-9.0, 0.0, 9.0)  # card units that the print may be above or below its place
_BLIND: dict[str, Box] = {
    "name_chn": Box(290, 122, 560, 178),
    "name_eng": Box(292, 170, 660, 214),
    "sex": Box(512, 250, 596, 296),
    "address": Box(610, 397, 724, 431),
}


def search(text: TextReader, picture: Picture, transform: Transform, fields: Iterable[str]) -> list[Line]:
    """The lines found around the given fields of Permit."""
    strips = dict.fromkeys(strip for name in fields for strip in _STRIPS[name])
    return [text.read(picture, quad) for strip in strips for quad in _found(text, picture, transform, strip)]


def _found(text: TextReader, picture: Picture, transform: Transform, strip: Box) -> Iterator[Floats]:
    outline = layout.corners_in_picture(transform, strip)
    width_px, height_px = (round(side * _SCALE) for side in (strip.right - strip.left, strip.bottom - strip.top))
    flat = straighten(picture, outline, width_px, height_px)
    back = np.linalg.inv(transform)
    for quad in text.find_upright(flat):
        yield project(back, quad / _SCALE + np.array([strip.left, strip.top], np.float32))


def read_places(text: TextReader, picture: Picture, transform: Transform, fields: Iterable[str]) -> list[Line]:
    """What stands at the printed places of the given fields, a little above and below them too."""
    boxes = [_BLIND[name] for name in fields if name in _BLIND]
    moved = (Box(box.left, box.top + off, box.right, box.bottom + off) for box in boxes for off in _OFFSETS)
    return [text.read(picture, layout.corners_in_picture(transform, box)) for box in moved]
