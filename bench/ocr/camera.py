"""A card photographed: laid into a scene, tilted, lit, blurred, and stored as a JPEG."""

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from bench.ocr.levels import Level, Ranges
from bench.ocr.prints import Pixels

Floats = npt.NDArray[np.float32]

_ASPECTS = (4 / 3, 3 / 2, 16 / 9, 3 / 4, 1)
_OVERSAMPLING = 2
_ID1 = 54 / 85.6
_ROUNDING = 0.036  # of the card's width: ID-1 has corners of 3.18 mm
_MOTION = 0.4
"""How often part of the blur is the hand's."""
_SECOND_JPEG = 0.5
"""How often the picture has been stored before, as messengers do."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the card lies in the picture: its corners clockwise from its own top left, and the picture's size."""

    corners: Floats
    width_px: int
    height_px: int


def pose(level: Level, rng: random.Random) -> Pose:
    """A pose within the level's ranges, before quarter turns."""
    ranges = level.ranges
    width = rng.uniform(*ranges.card_width_px)
    corners = _tilted(width, ranges, rng)
    extent = corners.max(axis=0) - corners.min(axis=0)
    share = rng.uniform(*ranges.card_share)
    aspect = extent[0] / extent[1] if level is Level.CLEAN else rng.choice(_ASPECTS)
    height_px = max(extent[1], extent[0] / aspect) / share
    width_px = height_px * aspect
    room = np.array([width_px, height_px]) - extent
    corner = room * [rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8)] - corners.min(axis=0)
    return Pose((corners + corner).astype(np.float32), round(width_px), round(height_px))


def _tilted(width: float, ranges: Ranges, rng: random.Random) -> Floats:
    """The card's corners around 0, 0: tilted about both axes, a little uneven, then rotated."""
    height = width * _ID1
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, height / 2]
    most = ranges.max_perspective * np.array([width, height])
    # One edge shorter than the one opposite it, across and along: what a camera that is not above the card sees.
    corners += np.outer([1, -1, 1, -1], most * [rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.8)])
    corners += np.array([[rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)] for _ in range(4)]) * most
    angle = math.radians(rng.uniform(-ranges.max_rotation_deg, ranges.max_rotation_deg))
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return np.asarray(corners @ turn, np.float32)


def shoot(card: Pixels | None, scene: Pixels, where: Pose, level: Level, rng: random.Random) -> bytes:
    """The JPEG, of the scene alone when there is no card. `scene` has the pose's size; both are RGB."""
    ranges = level.ranges
    laid = scene if card is None else _laid(card, scene, where, rng, shadow=level is not Level.CLEAN)
    picture = laid.astype(np.float32)
    if rng.random() < ranges.shadow:
        picture *= _shadow(where, rng)
    if rng.random() < ranges.glare:
        picture += (255 - picture) * _glare(where, level, rng)
    if level is not Level.CLEAN:
        picture *= _lens(where, rng)
    picture = _blurred(picture, rng.uniform(*ranges.blur_px), rng)
    noise = np.random.default_rng(rng.getrandbits(64)).normal(0, rng.uniform(*ranges.noise), picture.shape)
    pixels = np.asarray(np.clip(picture + noise, 0, 255), np.uint8)[:, :, ::-1]
    if rng.random() < ranges.quarter_turn:
        pixels = np.rot90(pixels, rng.randint(1, 3))
    return _stored(np.ascontiguousarray(pixels), rng.randint(*ranges.jpeg_quality), rng)


def _laid(card: Pixels, scene: Pixels, where: Pose, rng: random.Random, *, shadow: bool) -> Pixels:
    """The card on the scene, drawn larger and then reduced: a warp that shrinks would leave out rows."""
    size = (where.width_px * _OVERSAMPLING, where.height_px * _OVERSAMPLING)
    height, width = card.shape[:2]
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    transform = cv2.getPerspectiveTransform(flat, where.corners * _OVERSAMPLING)
    laid = cv2.warpPerspective(card, transform, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(_outline(width, height), transform, size, flags=cv2.INTER_LINEAR)
    reduced = (where.width_px, where.height_px)
    card_there = cv2.resize(laid, reduced, interpolation=cv2.INTER_AREA).astype(np.float32)
    covering = (cv2.resize(mask, reduced, interpolation=cv2.INTER_AREA).astype(np.float32) / 255)[..., None]
    under = scene.astype(np.float32)
    if shadow:
        reach = rng.uniform(0.004, 0.02) * where.width_px
        dark = cv2.GaussianBlur(covering, (0, 0), reach)
        drop = np.array([[1, 0, rng.uniform(-1, 1) * reach], [0, 1, reach]], np.float32)
        under *= 1 - rng.uniform(0.2, 0.6) * cv2.warpAffine(dark, drop, reduced)[..., None]
    return np.asarray(under * (1 - covering) + card_there * covering, np.uint8)


def _outline(width: int, height: int) -> Pixels:
    """255 inside the card, with its rounded corners."""
    mask = np.zeros((height, width), np.uint8)
    radius = round(width * _ROUNDING)
    cv2.rectangle(mask, (radius, 0), (width - radius, height), 255, -1)
    cv2.rectangle(mask, (0, radius), (width, height - radius), 255, -1)
    for x in (radius, width - radius - 1):
        for y in (radius, height - radius - 1):
            cv2.circle(mask, (x, y), radius, 255, -1)
    return mask


def _grid(where: Pose) -> tuple[Floats, Floats]:
    y, x = np.mgrid[0 : where.height_px, 0 : where.width_px].astype(np.float32)
    return x, y


def _inside(where: Pose, rng: random.Random) -> tuple[float, float]:
    """A point on the card."""
    shares = np.array([rng.random() for _ in range(4)])
    x, y = (where.corners * (shares / shares.sum())[:, None]).sum(axis=0)
    return float(x), float(y)


def _shadow(where: Pose, rng: random.Random) -> Floats:
    """A soft edge over the card, darker on one side."""
    x, y = _grid(where)
    at_x, at_y = _inside(where, rng)
    angle, soft_px = rng.uniform(0, math.tau), where.width_px * rng.uniform(0.01, 0.08)
    distance = (x - at_x) * math.cos(angle) + (y - at_y) * math.sin(angle)
    lit = 1 / (1 + np.exp(-np.clip(distance / soft_px, -30, 30)))
    return np.asarray(1 - rng.uniform(0.2, 0.5) * lit, np.float32)[..., None]


def _glare(where: Pose, level: Level, rng: random.Random) -> Floats:
    """A light's reflection: an ellipse on the card that bleaches it."""
    x, y = _grid(where)
    at_x, at_y = _inside(where, rng)
    angle = rng.uniform(0, math.pi)
    long_px = where.width_px * rng.uniform(0.08, 0.25)
    short_px = long_px * rng.uniform(0.2, 0.8)
    along = ((x - at_x) * math.cos(angle) + (y - at_y) * math.sin(angle)) / long_px
    across = ((y - at_y) * math.cos(angle) - (x - at_x) * math.sin(angle)) / short_px
    strength = rng.uniform(0.25, 0.55) if level is Level.PHONE else rng.uniform(0.35, 0.75)
    return np.asarray(strength * np.exp(-(along**2 + across**2)), np.float32)[..., None]


def _lens(where: Pose, rng: random.Random) -> Floats:
    """Exposure, white balance and darker corners."""
    x, y = _grid(where)
    away = ((x / where.width_px - 0.5) ** 2 + (y / where.height_px - 0.5) ** 2) * 2
    falloff = 1 - rng.uniform(0, 0.3) * away
    gains = np.array([rng.uniform(0.9, 1.1) for _ in range(3)]) * rng.uniform(0.78, 1.08)
    return np.asarray(falloff[..., None] * gains, np.float32)


def _blurred(picture: Floats, sigma_px: float, rng: random.Random) -> Floats:
    """Out of focus, and moved: together as wide as a Gaussian of `sigma_px`."""
    moved = rng.uniform(0.3, 0.8) if rng.random() < _MOTION else 0.0
    length_px = math.sqrt(12 * moved) * sigma_px  # a box of this length has that share of the variance
    focus_px = math.sqrt(1 - moved) * sigma_px
    if focus_px > 0.1:  # noqa: PLR2004  below it a blur changes nothing
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), focus_px), np.float32)
    if length_px > 1:
        picture = np.asarray(cv2.filter2D(picture, -1, _streak(length_px, rng.uniform(0, math.pi))), np.float32)
    return picture


def _streak(length_px: float, angle: float) -> Floats:
    """The kernel of a straight movement."""
    half = math.ceil(length_px / 2)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for step in np.linspace(-length_px / 2, length_px / 2, 65):
        x, y = half + step * math.cos(angle), half + step * math.sin(angle)
        left, top = int(x), int(y)
        for cell_x, cell_y in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
            if max(cell_x, cell_y) <= 2 * half:
                kernel[cell_y, cell_x] += (1 - abs(x - cell_x)) * (1 - abs(y - cell_y))
    return np.asarray(kernel / kernel.sum(), np.float32)


def _stored(pixels: Pixels, quality: int, rng: random.Random) -> bytes:
    """The JPEG; sometimes one of a JPEG of better quality."""
    if rng.random() < _SECOND_JPEG:
        first = _jpeg(pixels, rng.randint(quality, 97))
        pixels = np.asarray(cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    return _jpeg(pixels, quality)


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
