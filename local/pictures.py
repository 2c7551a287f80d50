"""Photos by the thousand, each another one and drawn in a millisecond: one small card, with a number on it."""

import io
import random
from collections.abc import Iterator

from PIL import Image, ImageDraw

from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.specimen import Level, draw, invent
from hmt_pass.endpoint.specimen.inventor import permit_for
from hmt_pass.permit import Flag
from local.cards import Card

WIDTH_PX = 400
QUALITY = 60


def numbered(count: int) -> Iterator[Card]:
    """So many cards, whose truth is what an endpoint that invents answers to their photos."""
    small = _small()
    for number in range(1, count + 1):
        image = _with_number(small, number)
        yield Card(f"{number:06d}.jpg", image, Flag.HK_AND_MACAU, permit_for(image))


def _small() -> Image.Image:
    rng = random.Random(1)  # noqa: S311  nothing is secret about a specimen
    picture = draw(invent(rng, (Kind.HK_MACAU,)), Level.CLEAN, rng)
    return picture.resize((WIDTH_PX, round(picture.height * WIDTH_PX / picture.width)), Image.Resampling.BICUBIC)


def _with_number(small: Image.Image, number: int) -> bytes:
    picture = small.copy()
    ImageDraw.Draw(picture).text((10, 10), f"{number:06d}", fill=(0, 0, 0), stroke_width=1, stroke_fill=(255, 255, 255))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
