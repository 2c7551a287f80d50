"""A card as a scanner or a phone would see it."""

import io
import math
import random
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from hmt_pass.endpoint.specimen.face import paint
from hmt_pass.endpoint.specimen.identity import Identity

Pixels = npt.NDArray[np.uint8]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which a picture is taken: ranges, and limits of what goes either way."""

    card_width_px: Range
    rotation_deg: float
    perspective: float
    """How far a corner may be off, as a share of the card's width."""
    blur_px: Range
    jpeg_quality: tuple[int, int]
    shade: float
    """Probability of a glare, and of a shadow."""
    quarter_turn: float
    """Probability that the picture is turned by 90, 180 or 270 degrees."""


class Level(Enum):
    """How hard a picture is to read."""

    CLEAN = Conditions((900, 1300), 1.5, 0.004, (0.0, 0.5), (88, 96), 0.0, 0.0)
    PHONE = Conditions((620, 1250), 10, 0.05, (0.4, 1.25), (68, 92), 0.3, 0.08)
    HARD = Conditions((430, 820), 24, 0.11, (0.7, 1.7), (38, 72), 0.6, 0.5)


def draw(identity: Identity, level: Level, rng: random.Random) -> Image.Image:
    """A picture of the card under the conditions of `level`. The same state of `rng` gives the same picture."""
    conditions = level.value
    pixels = _scene(np.asarray(paint(identity, rng)), conditions, rng)
    for shade in (0.45, -0.4):
        if rng.random() < conditions.shade:
            pixels = _shaded(pixels, shade, rng)
    pixels = _blurred(pixels, rng.uniform(*conditions.blur_px))
    turns = rng.randrange(1, 4) if rng.random() < conditions.quarter_turn else 0
    return Image.fromarray(np.ascontiguousarray(np.rot90(pixels, turns)))


def encode(picture: Image.Image, level: Level, rng: random.Random) -> bytes:
    """The picture as a JPEG of the quality of `level`."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=rng.randint(*level.value.jpeg_quality))
    return out.getvalue()


def _scene(face: Pixels, conditions: Conditions, rng: random.Random) -> Pixels:
    """The card on a table, turned and seen at an angle."""
    corners = _corners(face.shape[1] / face.shape[0], conditions, rng)
    margin_px = rng.uniform(0.03, 0.2) * rng.uniform(*conditions.card_width_px)
    corners += margin_px - corners.min(axis=0)
    width_px, height_px = (math.ceil(side + margin_px) for side in corners.max(axis=0))
    height, width = face.shape[:2]
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    transform = cv2.getPerspectiveTransform(flat, corners.astype(np.float32))
    size = (width_px, height_px)
    table = _table(size, rng)
    smooth = cv2.GaussianBlur(face, (0, 0), max(0.01, 0.4 * width / np.ptp(corners[:, 0]) - 0.3))
    seen = cv2.warpPerspective(smooth, transform, size, flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.full(face.shape[:2], 255, np.uint8), transform, size, flags=cv2.INTER_LINEAR)
    share = mask[:, :, None].astype(np.float32) / 255
    return np.asarray(seen * share + table * (1 - share), np.uint8)


def _corners(aspect: float, conditions: Conditions, rng: random.Random) -> npt.NDArray[np.float64]:
    width_px = rng.uniform(*conditions.card_width_px)
    angle = math.radians(rng.uniform(-conditions.rotation_deg, conditions.rotation_deg))
    upright = np.array([[0, 0], [1, 0], [1, 1 / aspect], [0, 1 / aspect]])
    off = [[rng.uniform(-1, 1) * conditions.perspective for _ in range(2)] for _ in range(4)]
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(width_px * (upright + np.array(off)) @ turn.T, np.float64)


def _table(size: tuple[int, int], rng: random.Random) -> npt.NDArray[np.float32]:
    """A plain colour with a gradient and a grain."""
    width_px, height_px = size
    color = np.array([rng.uniform(40, 220) for _ in range(3)], np.float32)
    gradient = np.linspace(rng.uniform(-30, 30), rng.uniform(-30, 30), width_px, dtype=np.float32)
    grain = np.random.default_rng(rng.getrandbits(32)).normal(0, 6, (height_px, width_px, 1)).astype(np.float32)
    return np.asarray(np.clip(color + gradient[None, :, None] + grain, 0, 255), np.float32)


def _shaded(pixels: Pixels, strength: float, rng: random.Random) -> Pixels:
    """A soft spot, brighter (a glare) for a positive strength, darker (a shadow) for a negative one."""
    height_px, width_px = pixels.shape[:2]
    rows, columns = np.mgrid[:height_px, :width_px].astype(np.float32)
    center = rng.uniform(0, width_px), rng.uniform(0, height_px)
    reach_px = rng.uniform(0.12, 0.35) * width_px
    spot = np.exp(-(((columns - center[0]) ** 2 + (rows - center[1]) ** 2) / (2 * reach_px**2)))
    toward = 255.0 if strength > 0 else 0.0
    share = abs(strength) * spot[:, :, None]
    return np.asarray(pixels * (1 - share) + toward * share, np.uint8)


def _blurred(pixels: Pixels, radius_px: float) -> Pixels:
    if radius_px < 0.1:  # noqa: PLR2004  too little to see
        return pixels
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), radius_px), np.uint8)
