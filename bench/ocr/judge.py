"""`python -m bench.ocr.judge --out DIR --count N`: draw cards to judge an engine by, with truth.json.

truth.json maps each file name to the seven fields under their wire names, and to level and split. The corpus of
`python -m bench ocr --corpus DIR` has the same form; a picture without a permit has no fields there.
"""

import argparse
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.ocr import camera, face, permits, scenes
from bench.ocr.fonts import PACKAGES, SETS, FontSet, Split, missing
from bench.ocr.levels import Level
from bench.ocr.permits import Printed

TRUTH = "truth.json"


NO_CARD = "none"
"""The level of pictures without a permit."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture and what is in it."""

    printed: Printed
    picture: bytes


def draw(split: Split, level: Level, number: int, fonts: FontSet | None = None) -> Drawn:
    """Card `number` of a split and level: the same every time, whatever else is drawn."""
    rng = random.Random(f"{split} {level} {number}")
    fonts = fonts or SETS[split]
    printed = permits.invent(rng)
    while not face.fonts_for(printed, fonts):
        printed = permits.invent(rng)
    flat = face.draw(printed, split, fonts, rng)
    where = camera.pose(level, rng)
    scene = scenes.scene(where.width_px, where.height_px, split, level, fonts, rng)
    return Drawn(printed, camera.shoot(flat, scene, where, level, rng))


def draw_without(split: Split, number: int, fonts: FontSet | None = None) -> bytes:
    """A phone's picture of everything but a permit."""
    rng = random.Random(f"{split} {NO_CARD} {number}")
    where = camera.pose(Level.PHONE, rng)
    scene = scenes.scene(where.width_px, where.height_px, split, Level.PHONE, fonts or SETS[split], rng)
    return camera.shoot(None, scene, where, Level.PHONE, rng)


class Album:
    """A folder of pictures with their truth.json."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._path = folder, folder / TRUTH
        self._truth = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}

    def add_cards(self, split: Split, level: Level, numbers: range) -> None:
        """Draw these cards as <level>-0001.jpg and so on."""
        for number in numbers:
            drawn = draw(split, level, number)
            self._add(f"{level}-{number:04d}.jpg", drawn.picture, drawn.printed.truth.to_wire(), split, level)
        self._save()

    def add_without(self, split: Split, numbers: range) -> None:
        """Draw pictures without a permit as none-0001.jpg and so on."""
        for number in numbers:
            self._add(f"{NO_CARD}-{number:04d}.jpg", draw_without(split, number), {}, split, NO_CARD)
        self._save()

    def _add(self, name: str, picture: bytes, fields: dict[str, str], split: Split, level: str) -> None:
        (self._folder / name).write_bytes(picture)
        self._truth[name] = fields | {"level": level, "split": split}

    def _save(self) -> None:
        self._path.write_text(json.dumps(self._truth, ensure_ascii=False, indent=1) + "\n", "utf-8")


def need_fonts(splits: list[Split]) -> None:
    """End the program with what to type when fonts are missing."""
    if paths := missing(splits):
        files = ", ".join(path.name for path in paths)
        sys.exit(f"the judge's fonts are not installed ({files}); as root:\n  apt-get install -y {' '.join(PACKAGES)}")


def main() -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.ocr.judge", description="Draw cards of the judge.")
    parser.add_argument("--out", type=Path, required=True, help="folder, made when it is not there")
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.TUNE)
    parser.add_argument("--level", type=Level, choices=list(Level), action="append", help="again for more; default all")
    parser.add_argument("--count", type=int, default=20, help="cards a level")
    parser.add_argument("--first", type=int, default=1, help="number of the first card")
    parser.add_argument("--without", type=int, default=0, help="pictures without a permit besides (default 0)")
    arguments = parser.parse_args()
    need_fonts([arguments.split])
    album = Album(arguments.out)
    for level in arguments.level or list(Level):
        album.add_cards(arguments.split, level, range(arguments.first, arguments.first + arguments.count))
    if arguments.without:
        album.add_without(arguments.split, range(1, arguments.without + 1))


if __name__ == "__main__":
    main()
