"""The photos of the demo: drawn permits of invented people, what phones make of them, and one file that is no image."""

import io
import random
from dataclasses import dataclass

import pillow_heif
from PIL import Image

from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.specimen import Level, draw, encode, invent
from hmt_pass.permit import Flag, Permit

# The cards are the same at every run. In about one drawn name of a hundred the reader takes a rare character for one
# that looks and sounds like it; the demo is about the system, so this seed has none of those.
SEED = 1
OVERSIZED_WIDTH_PX = 6000  # the API takes up to 4800
FLAGS = {Kind.HK_MACAU: Flag.HK_AND_MACAU, Kind.TAIWAN: Flag.TAIWAN}

FIRST = (
    ("hk-1.jpg", Kind.HK_MACAU, Level.CLEAN),
    ("hk-2.jpg", Kind.HK_MACAU, Level.CLEAN),
    ("hk-3.jpg", Kind.HK_MACAU, Level.CLEAN),
    ("taiwan-1.jpg", Kind.TAIWAN, Level.CLEAN),
    ("taiwan-2.jpg", Kind.TAIWAN, Level.CLEAN),
    ("phone-hk-1.jpg", Kind.HK_MACAU, Level.PHONE),
    ("phone-hk-2.jpg", Kind.HK_MACAU, Level.PHONE),
    ("phone-taiwan-1.jpg", Kind.TAIWAN, Level.PHONE),
    ("phone-taiwan-2.jpg", Kind.TAIWAN, Level.PHONE),
    ("iphone.heic", Kind.HK_MACAU, Level.PHONE),
    ("oversized.jpg", Kind.TAIWAN, Level.CLEAN),
)
LATER = tuple((f"later-{number}.jpg", Kind.HK_MACAU, Level.CLEAN) for number in range(1, 5))


@dataclass(frozen=True, slots=True)
class Card:
    """One photo to upload. `truth` is what is printed on it, None when it is no image at all."""

    name: str
    image: bytes
    flag: Flag
    truth: Permit | None


def first() -> list[Card]:
    """The 12 uploads of a working day."""
    scan = Card("scan.jpg", b"%PDF-1.7\n% a PDF whose name says JPEG\n", Flag.HK_AND_MACAU, None)
    return [*(_card(*row) for row in FIRST), scan]


def later() -> list[Card]:
    """The four uploads while the account has no money."""
    return [_card(*row) for row in LATER]


def _card(name: str, kind: Kind, level: Level) -> Card:
    """A card that depends on its name and the seed alone."""
    rng = random.Random(f"{SEED} {name}")  # noqa: S311  nothing is secret about a specimen
    identity = invent(rng, (kind,))
    return Card(name, _file(name, draw(identity, level, rng), level, rng), FLAGS[kind], identity.permit)


def _file(name: str, picture: Image.Image, level: Level, rng: random.Random) -> bytes:
    """The picture in the format that its name stands for."""
    if name.endswith(".heic"):
        out = io.BytesIO()
        pillow_heif.from_pillow(picture).save(out, quality=80, enc_params={"preset": "ultrafast"})  # 0.2 s, not 2
        return out.getvalue()
    if name.startswith("oversized"):
        height_px = round(picture.height * OVERSIZED_WIDTH_PX / picture.width)
        picture = picture.resize((OVERSIZED_WIDTH_PX, height_px), Image.Resampling.BICUBIC)
    return encode(picture, level, rng)
