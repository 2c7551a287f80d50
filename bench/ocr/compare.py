"""`python -m bench ocr`: our engine beside others on the same cards, in one run, one thread each.

Draws a split of the judge (or takes a corpus of the user's own), lets each engine read it in a process of its own and
prints the figures beside the targets. What was not read right is listed in build/ocr.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from bench.ocr import judge, table
from bench.ocr.engines import ENGINES, OURS, need
from bench.ocr.fonts import Split
from bench.ocr.judge import Album
from bench.ocr.levels import Level
from bench.ocr.trial import Corpus, Trial, run

BUILD = Path("build/ocr")

_CARDS, _OTHERS = 200, 60
_WITHOUT = 5
"""One picture without a permit for this many cards of a level."""


def main(argv: list[str]) -> None:
    """Draw, read, print."""
    options = _options(argv)
    need(options.engines)
    corpus = Corpus.open(options.corpus or _drawn(options))
    if options.soak:
        subprocess.run([sys.executable, "-m", "bench.ocr.soak", str(corpus.folder), str(options.soak)], check=True)
        return
    limits = {engine: options.cards if engine == OURS else options.cards_others for engine in options.engines}
    trials = {engine: run(engine, corpus, limit) for engine, limit in limits.items()}
    print(table.comparison(trials))
    print(table.targets(trials))
    for engine, trial in trials.items():
        print(f"what {engine} did not read right: {_listed(engine, trial)}")


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench ocr", description="Compare OCR engines on permits.")
    parser.add_argument("--cards", type=int, help=f"cards a level for our engine (default {_CARDS}; of a corpus all)")
    parser.add_argument(
        "--cards-others", type=int, help=f"the same for the others (default {_OTHERS}; of a corpus all)"
    )
    parser.add_argument("--levels", type=Level, nargs="+", choices=list(Level), default=list(Level))
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.REPORT)
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--corpus", type=Path, help="a folder of pictures with truth.json, instead of drawn cards")
    parser.add_argument("--soak", type=int, help="only read so many pictures in one process, and watch its memory")
    options = parser.parse_args(argv)
    options.cards = options.cards or (sys.maxsize if options.corpus else _CARDS)
    options.cards_others = options.cards_others or (sys.maxsize if options.corpus else _OTHERS)
    return options


def _drawn(options: argparse.Namespace) -> Path:
    """The folder with freshly drawn pictures."""
    judge.need_fonts([options.split])
    folder = BUILD / str(options.split)
    shutil.rmtree(folder, ignore_errors=True)
    album = Album(folder)
    for level in options.levels:
        album.add_cards(options.split, level, range(1, options.cards + 1))
    album.add_without(options.split, range(1, options.cards // _WITHOUT + 1))
    return folder


def _listed(engine: str, trial: Trial) -> Path:
    """Where the fields that are not right are listed, for a person to look at."""
    rows = [("picture", "field", "truth", "read", "verdict"), *trial.not_right()]
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"not-right-{engine}.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows), "utf-8")
    return path
