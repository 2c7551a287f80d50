"""The engines that are compared, each behind one call: a picture in, the seven fields and a verdict out.

An engine is imported when it is loaded: the import is part of its start.
"""
# ruff: noqa: PLC0415

import csv
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

from hmt_pass.permit import Permit

Reads = Callable[[bytes], tuple[dict[str, str], bool]]
"""From a picture to the seven fields under their wire names, and whether the reading was accepted."""

OURS, RAPIDOCR, TESSERACT = "ours", "rapidocr", "tesseract"

_NOTHING = Permit().to_wire()
_TESSERACT_PACKAGES = ("tesseract-ocr", "tesseract-ocr-chi-sim")
# Sparse text with a guess of the orientation reads more of a card than any other mode (tried: 3, 6, 11, 12).
_TESSERACT = ("tesseract", "stdin", "stdout", "-l", "chi_sim", "--psm", "12", "tsv")


def ours() -> Reads:
    """hmt_pass/endpoint/engine as the endpoint runs it."""
    from hmt_pass.endpoint.engine.reader import Reader

    return _reads(Reader.load())


def rapidocr() -> Reads:
    """RapidOCR as its documentation starts it, on one thread; our parser makes fields of its lines."""
    import cv2
    import numpy as np
    from rapidocr import RapidOCR

    from bench.ocr.foreign import Found

    cv2.setNumThreads(1)
    one_thread = {f"EngineConfig.onnxruntime.{which}_op_num_threads": 1 for which in ("intra", "inter")}
    pipeline = RapidOCR(params={"Global.log_level": "error", **one_thread})

    def lines(picture: bytes) -> list[Found]:
        said: Any = pipeline(picture)
        if said.boxes is None:
            return []
        return [
            Found(np.asarray(box, np.float32), *line)
            for box, *line in zip(said.boxes, said.txts, said.scores, strict=True)
        ]

    return _parsed(lines)


def tesseract() -> Reads:
    """Tesseract with Debian's chi_sim, a process a picture; our parser makes fields of its lines."""
    import numpy as np

    from bench.ocr.foreign import Found

    def lines(picture: bytes) -> list[Found]:
        done = subprocess.run(_TESSERACT, input=picture, capture_output=True, check=False)
        rows = csv.DictReader(done.stdout.decode().splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
        by_line: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for row in rows:
            if row["text"].strip():
                by_line.setdefault((row["block_num"], row["par_num"], row["line_num"]), []).append(row)
        return [_line(words) for words in by_line.values()]

    def _line(words: Sequence[dict[str, str]]) -> Found:
        left, top = (min(int(word[side]) for word in words) for side in ("left", "top"))
        right = max(int(word["left"]) + int(word["width"]) for word in words)
        bottom = max(int(word["top"]) + int(word["height"]) for word in words)
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
        score = sum(float(word["conf"]) for word in words) / len(words) / 100
        return Found(corners, "".join(word["text"] for word in words), score)

    return _parsed(lines)


def _parsed(lines: Callable[[bytes], list[Any]]) -> Reads:
    """An engine that gives lines, with our parser behind it. The verdict is the parser's."""
    from bench.ocr.foreign import ForeignLines
    from hmt_pass.endpoint.engine.reader import Reader
    from hmt_pass.endpoint.engine.text import TextReader

    foreign = ForeignLines()
    parser = _reads(Reader(cast(TextReader, foreign)))

    def read(picture: bytes) -> tuple[dict[str, str], bool]:
        foreign.give(lines(picture))
        return parser(picture)

    return read


def _reads(reader: Any) -> Reads:  # noqa: ANN401  the reader's module is not imported before it is needed
    from hmt_pass.endpoint.engine.reading import Verdict

    def read(picture: bytes) -> tuple[dict[str, str], bool]:
        reading = reader.read(picture)
        return (reading.permit.to_wire(), reading.verdict is Verdict.ACCEPT) if reading else (_NOTHING, False)

    return read


ENGINES: dict[str, Callable[[], Reads]] = {OURS: ours, RAPIDOCR: rapidocr, TESSERACT: tesseract}


def need(names: Sequence[str]) -> None:
    """End the program with what to type when an engine is not installed."""
    if RAPIDOCR in names and importlib.util.find_spec("rapidocr") is None:
        sys.exit("rapidocr is not installed: run `make setup`, or leave it out with --engines")
    if TESSERACT in names and shutil.which("tesseract") is None:
        packages = " ".join(_TESSERACT_PACKAGES)
        sys.exit(
            f"tesseract is not installed; as root:\n  apt-get install -y {packages}\nor leave it out with --engines"
        )
