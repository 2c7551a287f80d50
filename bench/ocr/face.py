"""The flat front of a card, from the facts: what stands where on 856 x 540 units, a few units off as printers are."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from bench.ocr import prints
from bench.ocr.fonts import FontSet, Split, covers, font
from bench.ocr.permits import Kind, Printed
from bench.ocr.prints import Colour, Pixels

WIDTH, HEIGHT = 856, 540
"""Card units; ID-1, 85.6 x 54 mm."""
SCALE = 2
"""Pixels of the flat card per unit."""

_ENGLISH = {
    Kind.HK_MACAU: "EXIT-ENTRY PERMIT FOR TRAVELLING TO AND FROM HONG KONG AND MACAO",
    Kind.TAIWAN: "PERMIT FOR TRAVELLING TO AND FROM TAIWAN",
}
_PORTRAIT = (55, 140, 270, 425)
_GHOST = (690, 185, 815, 350)
_CARD_WOBBLE, _LINE_WOBBLE = 3.0, 2.0
_HAN_OVERFLOW = 1.08  # a han glyph's box is higher than its ink: text is made that much larger than its place
_INKS = ((24, 24, 26), (34, 30, 40), (48, 46, 50), (18, 26, 52))
_LABEL_INKS = ((60, 70, 110), (96, 60, 60), (70, 90, 76), (84, 84, 88))


@dataclass
class Face:
    """A card in the making."""

    card: Image.Image
    rng: random.Random
    split: Split
    fonts: FontSet
    han: Path
    latin: Path
    ink: Colour
    pen: ImageDraw.ImageDraw = field(init=False)
    shift: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        self.pen = ImageDraw.Draw(self.card)
        wobble = _CARD_WOBBLE
        self.shift = (self.rng.uniform(-wobble, wobble), self.rng.uniform(-wobble, wobble))

    def write(
        self,
        text: str,
        face: Path,
        left: float,
        top: float,
        bottom: float,
        right: float | None = None,
        ink: Colour | None = None,
        stroke_px: int = 0,
    ) -> None:
        """A line whose ink is as high as its place, made narrower when it would run beyond `right`."""
        size_px = self.size_px(text, face, (bottom - top) * SCALE)
        wide_px = font(face, size_px).getlength(text)
        if right is not None and wide_px > (right - left) * SCALE:
            size_px = int(size_px * (right - left) * SCALE / wide_px)
        x, y = self.shift
        x += left + self.rng.uniform(-_LINE_WOBBLE, _LINE_WOBBLE)
        y += (top + bottom) / 2 + self.rng.uniform(-_LINE_WOBBLE, _LINE_WOBBLE)
        where = (x * SCALE, y * SCALE)
        self.pen.text(where, text, ink or self.ink, font(face, size_px), anchor="lm", stroke_width=stroke_px)

    def size_px(self, text: str, face: Path, high_px: float) -> int:
        """The size in px at which this text's ink is `high_px` high."""
        probe = font(face, 100)
        _, top, _, bottom = probe.getbbox("国" if not text.isascii() else "H8")
        return max(8, round(high_px / (bottom - top) * 100))


def fonts_for(printed: Printed, fonts: FontSet) -> list[Path]:
    """The Chinese fonts that have all characters of this card; the rarest names are in none."""
    return [path for path in fonts.han if covers(path, printed.han)]


def draw(printed: Printed, split: Split, fonts: FontSet, rng: random.Random) -> Pixels:
    """The front as RGB, `SCALE` pixels a unit, marked as a specimen."""
    card = prints.background(WIDTH * SCALE, HEIGHT * SCALE, split, rng)
    prints.emblem(card, (_px(95 + rng.uniform(-6, 6)), _px(64 + rng.uniform(-6, 6))), _px(36), rng)
    picture = _with_portraits(card, rng)
    han = _choose(fonts_for(printed, fonts), rng)
    face = Face(picture, rng, split, fonts, han, rng.choice(fonts.latin), rng.choice(_INKS))
    _head(face, printed)
    _values(face, printed)
    _labels(face)
    _code(face, printed.line)
    _mark(face)
    return np.asarray(face.card, np.uint8)


def _px(units: float) -> int:
    return round(units * SCALE)


def _choose(paths: list[Path], rng: random.Random) -> Path:
    """One of the fonts, the first ones more often."""
    return rng.choices(paths, [2.0**-place for place in range(len(paths))])[0]


def _with_portraits(card: Pixels, rng: random.Random) -> Image.Image:
    left, top, right, bottom = map(_px, _PORTRAIT)
    person = prints.portrait(right - left, bottom - top, rng)
    card[top:bottom, left:right] = person
    left, top, right, bottom = map(_px, _GHOST)
    ghost = np.asarray(Image.fromarray(person).convert("L").resize((right - left, bottom - top)).convert("RGB"))
    part = card[top:bottom, left:right]
    card[top:bottom, left:right] = prints.blend(part, ghost, rng.uniform(0.12, 0.35))
    return Image.fromarray(card)


def _head(face: Face, printed: Printed) -> None:
    rng = face.rng
    title = _choose([path for path in face.fonts.han if covers(path, printed.kind.heading)], rng)
    face.write(printed.kind.heading, title, 150, 38, 82, 525, stroke_px=rng.choice((0, 1, 2)))
    if rng.random() < 1 / 3:
        face.write(_ENGLISH[printed.kind], face.latin, 152, 90, 100, 560, ink=rng.choice(_LABEL_INKS))
    number = rng.choice((face.latin, face.latin, face.fonts.codes))
    ink = rng.choice((face.ink, (150, 30, 36)))
    face.write(printed.number, number, 590, 60, 92, 822, ink=ink, stroke_px=rng.choice((0, 1)))


def _values(face: Face, printed: Printed) -> None:
    stroke_px = face.rng.choice((0, 0, 1))
    issued, expires, birth = (f"{day:%Y.%m.%d}" for day in (printed.issued, printed.expires, printed.birth))
    face.write(printed.name.characters, face.han, 300, 130, 170, 640, stroke_px=stroke_px)
    face.write(printed.name.pinyin, face.latin, 301, 179, 206, 640)
    face.write(birth, face.latin, 302, 258, 289, stroke_px=stroke_px)
    face.write(printed.sex, face.han, 533, 256, 291, stroke_px=stroke_px)
    face.write(f"{issued}-{expires}", face.latin, 302, 331, 361, 645, stroke_px=stroke_px)
    face.write(printed.authority, face.han, 302, 402, 432, 608, stroke_px=stroke_px)
    face.write(printed.place, face.han, 621, 402, 432, stroke_px=stroke_px)


def _labels(face: Face) -> None:
    ink = face.rng.choice((*_LABEL_INKS, face.ink))
    high = face.rng.uniform(17, 21)
    labels = (
        ("出生日期", 302, 238),
        ("性别", 533, 238),
        ("有效期限", 302, 312),
        ("签发机关", 302, 384),
        ("签发地点", 621, 384),
    )
    for text, left, middle in labels:
        face.write(text, face.han, left, middle - high / 2, middle + high / 2, ink=ink)


def _code(face: Face, line: str) -> None:
    """The machine-readable line, its characters spaced out over the card's width."""
    pitch = (795 - 50) / len(line)
    x, y = face.shift
    size_px = face.size_px(line, face.fonts.codes, (502 - 471) * SCALE)
    for place, character in enumerate(line):
        where = ((x + 50 + (place + 0.5) * pitch) * SCALE, (y + 487) * SCALE)
        face.pen.text(where, character, face.ink, font(face.fonts.codes, size_px), anchor="mm")


def _mark(face: Face) -> None:
    """`SPECIMEN` and its Chinese over the portrait and in the free space at the right: in red, never over a value."""
    rng = face.rng
    for text, typeface, center, high, lean in (
        ("样本", face.han, (162, 360), 58, 18),
        ("SPECIMEN", face.latin, (722, 148), 26, 8),
    ):
        size_px = face.size_px(text, typeface, high * SCALE)
        glyphs = font(typeface, size_px)
        wide_px = round(glyphs.getlength(text)) + 20
        stamp = Image.new("L", (wide_px, 2 * size_px))
        ImageDraw.Draw(stamp).text((wide_px / 2, size_px), text, 255, glyphs, anchor="mm")
        stamp = stamp.rotate(rng.uniform(-lean, lean), expand=True, resample=Image.Resampling.BICUBIC)
        stamp = stamp.point(lambda value: round(value * 0.75))
        corner = (_px(center[0]) - stamp.width // 2, _px(center[1]) - stamp.height // 2)
        face.card.paste((196, 40, 44), corner, stamp)
