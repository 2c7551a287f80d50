"""The face of a card, flat and clean, as it would come out of a printer."""

import random

from PIL import Image, ImageDraw

from hmt_pass.endpoint.engine import card
from hmt_pass.endpoint.engine.card import Box, Kind
from hmt_pass.endpoint.specimen import fonts
from hmt_pass.endpoint.specimen.identity import Identity

SCALE = 2
"""px per card unit."""

_INK = (28, 28, 34)
_LABEL_INK = (96, 104, 128)
_MARK_INK = (190, 40, 40)
_GROUND = {Kind.HK_MACAU: (222, 234, 242), Kind.TAIWAN: (232, 240, 226)}
_MARK = "样本 SPECIMEN"


def paint(identity: Identity, rng: random.Random) -> Image.Image:
    """The card as an RGB image of SCALE px per card unit. `rng` decides on typeface and pattern alone."""
    face = Image.new("RGB", (card.WIDTH * SCALE, card.HEIGHT * SCALE), _GROUND[identity.kind])
    _guilloche(face, _GROUND[identity.kind], rng)
    _portraits(face, rng)
    _mark(face)
    pen = _Pen(face, rng.choice((fonts.SANS, fonts.SERIF)))
    _print_titles(pen, identity)
    _print_values(pen, identity)
    pen.cells(identity.machine_readable, card.MACHINE_READABLE, 36)
    return face


class _Pen:
    """Prints lines at places given in card units."""

    def __init__(self, face: Image.Image, typeface: str) -> None:
        self._draw = ImageDraw.Draw(face)
        self._typeface = typeface

    def line(self, text: str, box: Box, size: int, ink: tuple[int, int, int] = _INK, *, typeface: str = "") -> None:
        """A line from the left edge of its box, at half its height."""
        font = fonts.load(typeface or self._typeface, size * SCALE)
        self._draw.text((box.left * SCALE, box.middle * SCALE), text, fill=ink, font=font, anchor="lm")

    def stretched(self, text: str, box: Box, size: int) -> None:
        """A line spread over its whole box, as titles are."""
        self.cells(text, box, size, typeface=self._typeface)

    def cells(self, text: str, box: Box, size: int, *, typeface: str = fonts.SANS) -> None:
        """A line with one cell of equal width for each character, as OCR-B has it."""
        font = fonts.load(typeface, size * SCALE)
        cell = (box.right - box.left) / len(text)
        for index, character in enumerate(text):
            x = box.left + cell * (index + 0.5)
            self._draw.text((x * SCALE, box.middle * SCALE), character, fill=_INK, font=font, anchor="mm")


def _print_titles(pen: _Pen, identity: Identity) -> None:
    pen.stretched(identity.kind.title, card.TITLE, 44)
    pen.cells(identity.number, card.NUMBER, 38)
    for label, box in card.LABELS.items():
        pen.line(label, box, 20, _LABEL_INK)


def _print_values(pen: _Pen, identity: Identity) -> None:
    long = len(identity.name.characters) > 4  # noqa: PLR2004  most names have two to four
    pen.line(identity.name.characters, card.NAME, 32 if long else 40)
    pen.line(identity.name.pinyin, card.PINYIN, 26, typeface=fonts.SANS)
    pen.line(f"{identity.birth:%Y.%m.%d}", card.BIRTHDAY, 30, typeface=fonts.SANS)
    pen.line(identity.sex, card.SEX, 30)
    pen.line(f"{identity.issued:%Y.%m.%d}-{identity.expires:%Y.%m.%d}", card.VALIDITY, 30, typeface=fonts.SANS)
    pen.line(identity.authority, card.AUTHORITY, 23)
    pen.line(identity.place, card.PLACE, 26)


def _guilloche(face: Image.Image, ground: tuple[int, int, int], rng: random.Random) -> None:
    """Fine waves behind everything, so that the ground is not plain."""
    draw = ImageDraw.Draw(face)
    ink = tuple(max(0, channel - rng.randrange(10, 26)) for channel in ground)
    for start in range(-card.HEIGHT, card.WIDTH, rng.randrange(14, 26)):
        bend = rng.randrange(40, 160)
        points = [((start + step + bend * (step % 90) / 90) * SCALE, step * SCALE) for step in range(0, 541, 30)]
        draw.line(points, fill=ink, width=SCALE, joint="curve")


def _portraits(face: Image.Image, rng: random.Random) -> None:
    """A silhouette where the portrait belongs and its ghost at the right: nobody's face."""
    tone = rng.randrange(120, 170)
    _silhouette(face, card.PORTRAIT, (tone, tone, tone + 10), (208, 214, 222))
    _silhouette(face, Box(690, 130, 800, 250), (205, 212, 220), None)


def _silhouette(face: Image.Image, box: Box, ink: tuple[int, int, int], ground: tuple[int, int, int] | None) -> None:
    draw = ImageDraw.Draw(face)
    left, top, right, bottom = (side * SCALE for side in (box.left, box.top, box.right, box.bottom))
    width, height = right - left, bottom - top
    if ground:
        draw.rectangle((left, top, right, bottom), fill=ground)
    draw.ellipse((left + width * 0.28, top + height * 0.12, right - width * 0.28, top + height * 0.58), fill=ink)
    draw.pieslice(
        (left + width * 0.08, top + height * 0.62, right - width * 0.08, bottom + height * 0.38), 180, 360, ink
    )


def _mark(face: Image.Image) -> None:
    """The diagonal and the line at the bottom that say what this is; under the print, so that it stays legible."""
    sheet = Image.new("RGBA", face.size, (255, 255, 255, 0))
    font = fonts.load(fonts.SANS, 96 * SCALE)
    middle = (face.width // 2, face.height // 2)
    ImageDraw.Draw(sheet).text(middle, _MARK, fill=(*_MARK_INK, 34), font=font, anchor="mm")
    turned = sheet.rotate(24, resample=Image.Resampling.BICUBIC)
    face.paste(turned, mask=turned)
    foot = Box(50, 508, card.WIDTH, 538)
    small = fonts.load(fonts.SANS, 17 * SCALE)
    place = (foot.left * SCALE, foot.middle * SCALE)
    text = f"{_MARK}  NOT A DOCUMENT  NO SUCH PERSON"
    ImageDraw.Draw(face).text(place, text, fill=_MARK_INK, font=small, anchor="lm")
