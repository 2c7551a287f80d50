"""What lies under the text of a card: tint, fine curves, microtext, emblem, portrait and its ghost.

All of it is invented; a real permit's print is nowhere in it.
"""

import math
import random
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from bench.ocr.fonts import Split

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
Curve = npt.NDArray[np.float64]

_TINTS: dict[Split, list[tuple[Colour, Colour]]] = {
    Split.TUNE: [
        ((205, 226, 236), (236, 214, 224)),
        ((214, 232, 212), (226, 226, 242)),
        ((238, 226, 206), (214, 228, 240)),
    ],
    Split.REPORT: [
        ((222, 214, 238), (212, 236, 232)),
        ((240, 216, 212), (230, 236, 212)),
        ((208, 222, 218), (244, 232, 214)),
    ],
}
_SKINS = ((222, 184, 155), (205, 165, 133), (236, 200, 172), (188, 145, 112))
_HAIRS = ((28, 24, 22), (52, 38, 30), (70, 68, 68), (150, 148, 146))
_CLOTHES = ((40, 44, 70), (150, 40, 48), (225, 225, 228), (60, 90, 70), (30, 30, 32))


def background(width_px: int, height_px: int, split: Split, rng: random.Random) -> Pixels:
    """A tinted, patterned card without anything to read on it."""
    one, other = rng.choice(_TINTS[split])
    ramp = _ramp(width_px, height_px, rng.uniform(0, math.tau))[..., None]
    card = (np.array(one) * (1 - ramp) + np.array(other) * ramp).astype(np.uint8)
    for pattern in rng.sample(_PATTERNS[split], rng.randint(1, 2)):
        layer = card.copy()
        ink = tuple(int(part * rng.uniform(0.55, 0.85)) for part in rng.choice((one, other)))
        curves = [curve.round().astype(np.int32) for curve in pattern(width_px, height_px, rng)]
        cv2.polylines(layer, curves, isClosed=False, color=ink, thickness=rng.choice((1, 1, 2)), lineType=cv2.LINE_AA)
        card = blend(card, layer, rng.uniform(0.25, 0.6))
    return card


def blend(under: Pixels, over: Pixels, share: float) -> Pixels:
    """`over` on `under`, `share` of it."""
    return np.asarray(cv2.addWeighted(under, 1 - share, over, share, 0), np.uint8)


def _ramp(width_px: int, height_px: int, angle: float) -> npt.NDArray[np.float64]:
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, width_px), np.linspace(-0.5, 0.5, height_px))
    return np.asarray(np.clip(0.5 + x * math.cos(angle) + y * math.sin(angle), 0, 1))


def _waves(width_px: int, height_px: int, rng: random.Random) -> list[Curve]:
    """Bands of shifted sine waves."""
    x = np.linspace(0, width_px, 300)
    length, height, lean = rng.uniform(150, 420), rng.uniform(12, 50), rng.uniform(-0.2, 0.2)
    step = rng.uniform(9, 18)
    rows = np.arange(-height_px * 0.2, height_px * 1.2, step)
    return [
        np.stack([x, row + lean * x + height * np.sin(x / length * math.tau + index * 0.21)], 1)
        for index, row in enumerate(rows)
    ]


def _rosettes(width_px: int, height_px: int, rng: random.Random) -> list[Curve]:
    """Hypotrochoids, as a spirograph draws them."""
    turns = np.linspace(0, math.tau, 1200)
    curves = []
    for _ in range(rng.randint(2, 4)):
        x, y, radius = rng.uniform(0, width_px), rng.uniform(0, height_px), rng.uniform(120, 380)
        petals = rng.randint(7, 19)
        for inner in np.linspace(0.35, 1, rng.randint(5, 9)):
            reach = radius * inner * (1 + 0.22 * np.sin(petals * turns))
            curves.append(np.stack([x + reach * np.cos(turns), y + reach * np.sin(turns)], 1))
    return curves


def _nets(width_px: int, height_px: int, rng: random.Random) -> list[Curve]:
    """Lissajous figures, drawn out over the card."""
    turns = np.linspace(0, math.tau, 2400)
    a, b = rng.choice(((5, 6), (7, 9), (9, 11), (11, 13)))
    return [
        np.stack(
            [
                width_px / 2 * (1 + 1.05 * np.sin(a * turns + shift)),
                height_px / 2 * (1 + 1.05 * np.sin(b * turns + 2 * shift)),
            ],
            1,
        )
        for shift in np.linspace(0, rng.uniform(0.15, 0.5), rng.randint(3, 5))
    ]


def _rings(width_px: int, height_px: int, rng: random.Random) -> list[Curve]:
    """Two sets of rings that make a moire."""
    turns = np.linspace(0, math.tau, 240)
    step = rng.uniform(12, 22)
    centers = [(rng.uniform(0, width_px), rng.uniform(0, height_px)) for _ in range(2)]
    return [
        np.stack([x + radius * np.cos(turns), y + radius * np.sin(turns)], 1)
        for x, y in centers
        for radius in np.arange(step, width_px * 0.8, step)
    ]


_PATTERNS: dict[Split, list[Callable[[int, int, random.Random], list[Curve]]]] = {
    Split.TUNE: [_waves, _rosettes],
    Split.REPORT: [_nets, _rings],
}


def emblem(card: Pixels, center: tuple[int, int], radius_px: int, rng: random.Random) -> None:
    """A star in a wreath of rays, drawn into the card: no state's emblem."""
    ink = rng.choice(((170, 60, 60), (150, 120, 60), (90, 90, 140)))
    cv2.circle(card, center, radius_px, ink, 3, cv2.LINE_AA)
    points = rng.choice((5, 6, 8))
    for reach, count, thickness in ((0.62, points, -1), (0.92, 24, 2)):
        corners = [
            _polar(center, radius_px * (reach if index % 2 == 0 else reach * 0.45), math.pi * index / count)
            for index in range(2 * count)
        ]
        outline = np.array(corners, np.int32)
        if thickness < 0:
            cv2.fillPoly(card, [outline], ink, cv2.LINE_AA)
        else:
            cv2.polylines(card, [outline], isClosed=True, color=ink, thickness=thickness, lineType=cv2.LINE_AA)


def _polar(center: tuple[int, int], radius: float, angle: float) -> tuple[int, int]:
    return round(center[0] + radius * math.sin(angle)), round(center[1] - radius * math.cos(angle))


def portrait(width_px: int, height_px: int, rng: random.Random) -> Pixels:
    """Head and shoulders of nobody."""
    paper = rng.choice(((236, 240, 244), (205, 222, 240), (245, 245, 245)))
    picture = np.full((height_px, width_px, 3), paper, np.uint8)
    skin, hair, clothes = rng.choice(_SKINS), rng.choice(_HAIRS), rng.choice(_CLOTHES)
    x, y = width_px // 2 + rng.randint(-6, 6), round(height_px * 0.42)
    wide, high = round(width_px * rng.uniform(0.22, 0.27)), round(height_px * rng.uniform(0.2, 0.24))
    cv2.ellipse(picture, (x, height_px), (round(width_px * 0.45), round(height_px * 0.27)), 0, 180, 360, clothes, -1)
    cv2.rectangle(picture, (x - wide // 3, y), (x + wide // 3, round(height_px * 0.78)), skin, -1)
    hair_down = rng.choice((0.1, 0.1, 0.9))
    cv2.ellipse(
        picture,
        (x, y),
        (round(wide * 1.15), round(high * 1.15)),
        0,
        180 - 60 * hair_down,
        360 + 60 * hair_down,
        hair,
        -1,
    )
    cv2.ellipse(picture, (x, y + high // 8), (wide, high), 0, 0, 360, skin, -1)
    cv2.ellipse(picture, (x, y - high // 2), (round(wide * 0.95), high // 2), 0, 180, 360, hair, -1)
    for side in (-1, 1):
        eye = (x + side * wide * 2 // 5, y)
        cv2.ellipse(picture, eye, (wide // 6, high // 14), 0, 0, 360, (40, 30, 28), -1)
        cv2.line(picture, (eye[0] - wide // 5, y - high // 6), (eye[0] + wide // 5, y - high // 6), hair, 4)
    cv2.line(picture, (x, y + high // 8), (x - wide // 12, y + high // 3), tuple(part * 4 // 5 for part in skin), 3)
    cv2.ellipse(picture, (x, y + high * 5 // 8), (wide // 4, high // 18), 0, 0, 360, (160, 84, 84), -1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 2.5)), np.uint8)
