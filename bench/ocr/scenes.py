"""Where a card lies: desks, cloths, keyboards, printed pages, with other things around it."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from bench.ocr.fonts import FontSet, Split, font
from bench.ocr.levels import Level
from bench.ocr.prints import Colour, Pixels

_WORDS = (
    "说明", "会议", "记录", "项目", "预算", "材料", "清单", "通知", "申请", "办理", "流程", "日期", "地点", "联系",
    "部门", "审核", "意见", "附件", "合同", "第一条", "第二条", "乙方", "甲方", "应当", "以及", "其他", "有关",
    "规定", "提交", "证件", "复印件", "姓名", "签字", "盖章", "有效", "期限", "工作日", "之内", "受理", "窗口",
    "咨询", "电话", "欢迎", "光临", "航班", "登机", "酒店", "订单", "金额", "合计", "人民币",
)  # fmt: skip
_CARD_WORDS = ("会员卡 VIP", "工作证 STAFF", "交通卡 CITY CARD", "图书馆 LIBRARY", "门禁卡 ACCESS", "储蓄卡 DEBIT")
_KEYS = "QWERTYUIOPASDFGHJKLZXCVBNM1234567890"


def scene(width_px: int, height_px: int, split: Split, level: Level, fonts: FontSet, rng: random.Random) -> Pixels:
    """What is behind the card. Clean pictures are scans: one plain tone."""
    if level is Level.CLEAN:
        tone = rng.choice((250, 238, 215, 120, 36)) + rng.randint(-6, 5)
        return _grain(np.full((height_px, width_px, 3), tone, np.uint8), 1.5, rng)
    picture = rng.choice(_SCENES[split])(width_px, height_px, fonts, rng)
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        rng.choice((_other_card, _other_card, _pen, _coin))(picture, fonts, rng)
    return picture


def _noise(height_px: int, width_px: int, cells_y: int, cells_x: int, rng: random.Random) -> npt.NDArray[np.float32]:
    """Smooth noise, -1 to 1, with that many cells."""
    coarse = np.random.default_rng(rng.getrandbits(64)).uniform(-1, 1, (cells_y, cells_x)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC), np.float32)


def _grain(picture: Pixels, sigma: float, rng: random.Random) -> Pixels:
    grain = np.random.default_rng(rng.getrandbits(64)).normal(0, sigma, picture.shape[:2])[..., None]
    return np.asarray(np.clip(picture + grain, 0, 255), np.uint8)


def _tinted(values: npt.NDArray[np.floating], colour: Colour, depth: float) -> Pixels:
    """A colour, lighter and darker by `values` of -1 to 1."""
    return np.asarray(np.clip(np.array(colour) + values[..., None] * depth, 0, 255), np.uint8)


def _wood(width_px: int, height_px: int, _: FontSet, rng: random.Random) -> Pixels:
    bend = _noise(height_px, width_px, 5, 3, rng)
    rows = np.arange(height_px, dtype=np.float32)[:, None] / height_px
    rings = np.sin((rows * rng.uniform(8, 20) + bend * 1.4) * math.tau)
    fibres = _noise(height_px, width_px, height_px // 3, 6, rng)
    colour = rng.choice(((168, 120, 78), (120, 82, 56), (206, 170, 126)))
    return _tinted(0.6 * rings + 0.5 * fibres, colour, rng.uniform(10, 24))


def _fabric(width_px: int, height_px: int, _: FontSet, rng: random.Random) -> Pixels:
    y, x = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    thread_px = rng.uniform(4, 9)
    weave = np.sin(x / thread_px * math.tau) * np.sin(y / thread_px * math.tau)
    colour = rng.choice(((90, 104, 130), (150, 150, 146), (120, 60, 64), (54, 60, 58)))
    return _tinted(weave * 0.6 + _noise(height_px, width_px, 4, 5, rng), colour, rng.uniform(8, 18))


def _desk(width_px: int, height_px: int, _: FontSet, rng: random.Random) -> Pixels:
    colour = rng.choice(((226, 224, 218), (70, 74, 80), (190, 196, 204), (38, 36, 36)))
    return _grain(_tinted(_noise(height_px, width_px, 2, 3, rng), colour, rng.uniform(8, 26)), 3, rng)


def _page(width_px: int, height_px: int, fonts: FontSet, rng: random.Random) -> Pixels:
    """A printed page, set at a slight slant."""
    return _print(width_px, height_px, fonts.han[0], rng, columns=1)


def _magazine(width_px: int, height_px: int, fonts: FontSet, rng: random.Random) -> Pixels:
    """Columns and coloured blocks."""
    picture = _print(width_px, height_px, fonts.han[0], rng, columns=rng.randint(2, 3))
    for _ in range(rng.randint(1, 3)):
        x, y = rng.randrange(width_px), rng.randrange(height_px)
        colour = tuple(rng.randrange(40, 230) for _ in range(3))
        corner = (x + rng.randrange(60, 400), y + rng.randrange(60, 300))
        cv2.rectangle(picture, (x, y), corner, colour, -1)
    return picture


def _print(width_px: int, height_px: int, han: Path, rng: random.Random, columns: int) -> Pixels:
    page = Image.new("RGB", (width_px, height_px), rng.choice(((250, 249, 245), (236, 232, 222), (244, 246, 250))))
    pen = ImageDraw.Draw(page)
    size_px = max(18, round(height_px * rng.uniform(0.022, 0.035)))
    glyphs, column_px = font(han, size_px), width_px // columns
    for column in range(columns):
        for y in range(size_px, height_px, round(size_px * 1.6)):
            line = "".join(rng.choices((*_WORDS, "，", "。", "2024年", "18:30", "No.7"), k=40))
            fitting = int(column_px * rng.choice((0.85, 0.85, 0.85, 0.5)) / size_px)
            pen.text((column * column_px + column_px // 20, y), line[:fitting], (50, 50, 54), glyphs)
    page = page.rotate(rng.uniform(-9, 9), resample=Image.Resampling.BILINEAR, fillcolor=(205, 203, 198))
    return np.array(page, np.uint8)


def _keyboard(width_px: int, height_px: int, fonts: FontSet, rng: random.Random) -> Pixels:
    dark = rng.random() < 2 / 3
    body, key, ink = (
        ((30, 30, 32), (52, 52, 56), (220, 220, 220)) if dark else ((190, 192, 196), (240, 240, 242), (60, 60, 60))
    )
    board = Image.new("RGB", (width_px, height_px), body)
    pen = ImageDraw.Draw(board)
    side_px = max(40, round(height_px * rng.uniform(0.09, 0.14)))
    glyphs = font(fonts.latin[0], side_px // 3)
    for row, y in enumerate(range(0, height_px, side_px)):
        for x in range(-(row * side_px // 3) % side_px - side_px, width_px, side_px):
            pen.rounded_rectangle((x + 3, y + 3, x + side_px - 3, y + side_px - 3), side_px // 8, key)
            pen.text((x + side_px // 4, y + side_px // 5), rng.choice(_KEYS), ink, glyphs)
    return np.array(board, np.uint8)


def _marble(width_px: int, height_px: int, _: FontSet, rng: random.Random) -> Pixels:
    bend = sum(_noise(height_px, width_px, 3 * 2**octave, 4 * 2**octave, rng) / 2**octave for octave in range(4))
    veins = -np.exp(-np.abs(np.sin(3 * np.asarray(bend))) * 9)
    return _tinted(veins, rng.choice(((228, 226, 224), (205, 210, 206), (92, 96, 98))), rng.uniform(25, 60))


def _checked(width_px: int, height_px: int, _: FontSet, rng: random.Random) -> Pixels:
    """A tablecloth."""
    y, x = np.mgrid[0:height_px, 0:width_px]
    side_px = rng.randint(40, 110)
    squares = ((x // side_px) % 2 + (y // side_px) % 2 - 1).astype(np.float32)
    colour = rng.choice(((190, 120, 120), (130, 150, 190), (150, 170, 140)))
    return _tinted(squares + 0.2 * _noise(height_px, width_px, 60, 80, rng), colour, rng.uniform(20, 55))


def _leather(width_px: int, height_px: int, _: FontSet, rng: random.Random) -> Pixels:
    grain = _noise(height_px, width_px, height_px // 8, width_px // 8, rng) + _noise(height_px, width_px, 3, 4, rng)
    return _tinted(grain, rng.choice(((70, 46, 36), (40, 42, 48), (130, 84, 52))), rng.uniform(8, 16))


_SCENES: dict[Split, list[Callable[[int, int, FontSet, random.Random], Pixels]]] = {
    Split.TUNE: [_wood, _fabric, _desk, _page],
    Split.REPORT: [_keyboard, _marble, _checked, _leather, _magazine],
}


def _other_card(picture: Pixels, fonts: FontSet, rng: random.Random) -> None:
    """A card of another kind, partly out of the picture."""
    height_px, width_px = picture.shape[:2]
    wide = round(max(height_px, width_px) * rng.uniform(0.3, 0.55))
    high = round(wide * 54 / 85.6)
    colour = tuple(rng.randrange(30, 200) for _ in range(3))
    card = Image.new("RGBA", (wide, high))
    pen = ImageDraw.Draw(card)
    pen.rounded_rectangle((0, 0, wide - 1, high - 1), wide // 26, (*colour, 255))
    digits = " ".join(f"{rng.randrange(10000):04d}" for _ in range(4))
    pen.text(
        (wide * 0.07, high * 0.1), rng.choice(_CARD_WORDS), (240, 240, 240), font(fonts.han[0], max(18, high // 9))
    )
    pen.text((wide * 0.07, high * 0.58), digits, (230, 230, 220), font(fonts.codes, max(16, high // 9)))
    card = card.rotate(rng.uniform(-60, 60), expand=True, resample=Image.Resampling.BICUBIC)
    x, y = rng.choice((-0.25, 0.65)) * width_px, rng.uniform(-0.2, 0.7) * height_px
    scene_image = Image.fromarray(picture)
    scene_image.paste(card, (round(x), round(y)), card)
    picture[:] = np.asarray(scene_image)


def _pen(picture: Pixels, _: FontSet, rng: random.Random) -> None:
    height_px, width_px = picture.shape[:2]
    ends = [(rng.randrange(-50, width_px), rng.randrange(-50, height_px)) for _ in range(2)]
    thick_px = max(8, max(height_px, width_px) // 60)
    colour = tuple(rng.randrange(20, 190) for _ in range(3))
    cv2.line(picture, ends[0], ends[1], colour, thick_px, cv2.LINE_AA)
    cv2.line(picture, ends[0], ends[1], tuple(min(255, part + 60) for part in colour), thick_px // 4, cv2.LINE_AA)


def _coin(picture: Pixels, _: FontSet, rng: random.Random) -> None:
    height_px, width_px = picture.shape[:2]
    center = (rng.randrange(width_px), rng.randrange(height_px))
    radius_px = max(height_px, width_px) // rng.randint(14, 22)
    cv2.circle(picture, center, radius_px, (176, 170, 150), -1, cv2.LINE_AA)
    cv2.circle(picture, center, radius_px * 8 // 10, (140, 134, 116), 3, cv2.LINE_AA)
