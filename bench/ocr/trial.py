"""A trial: one engine over one corpus, in a process and on a thread of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench.ocr.child import STARTED_AT
from bench.ocr.judge import NO_CARD, TRUTH
from bench.ocr.levels import Level
from bench.ocr.score import Answer, Score, score
from hmt_pass.permit import Permit

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1"}
_STARTS = 3
_ORDER = (*Level, NO_CARD)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Pictures with their truth, and the level of each; the level is empty where a corpus has none."""

    folder: Path
    truths: dict[str, Permit]
    levels: dict[str, str]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The corpus in a folder. Ends the program when there is none."""
        try:
            truth: dict[str, dict[str, Any]] = json.loads((folder / TRUTH).read_text("utf-8"))
        except FileNotFoundError:
            sys.exit(f"{folder / TRUTH} is missing: it maps each picture's name to its seven fields (docs/accuracy.md)")
        truths = {name: Permit.from_wire(facts) for name, facts in truth.items()}
        return cls(folder, truths, {name: str(facts.get("level", "")) for name, facts in truth.items()})


@dataclass(frozen=True, slots=True)
class Trial:
    """What came out, and what it took."""

    corpus: Corpus
    answers: list[Answer]
    ready_s: float
    """From the start of the process to the first possible reading; the best of three starts."""
    memory_mb: float

    @property
    def names(self) -> set[str]:
        """The pictures that were read."""
        return {answer.name for answer in self.answers}

    def scores(self, among: Collection[str] | None = None) -> dict[str, Score]:
        """A score for each level, of all pictures or only of those named."""
        by_level: dict[str, list[Answer]] = {}
        for answer in self.answers:
            if among is None or answer.name in among:
                by_level.setdefault(self.corpus.levels[answer.name], []).append(answer)
        levels = sorted(by_level, key=lambda level: _ORDER.index(level) if level in _ORDER else -1)
        return {level: score(by_level[level], self.corpus.truths) for level in levels}

    def not_right(self) -> list[tuple[str, str, str, str, str]]:
        """Each field that is not right: picture, field, truth, what was read (nothing for an empty one), verdict."""
        return [
            (answer.name, field, truth, answer.fields[field], "accepted" if answer.accepted else "review")
            for answer in self.answers
            for field, truth in self.corpus.truths[answer.name].to_wire().items()
            if answer.fields[field] != truth
        ]


def run(engine: str, corpus: Corpus, limit: int) -> Trial:
    """Let an engine read a corpus, at most `limit` pictures a level. Raises CalledProcessError when it fails."""
    starts = [_child(engine, corpus, 0)[0]["ready_s"] for _ in range(_STARTS)]
    said = _child(engine, corpus, limit)
    answers = [Answer(**one) for one in said if "name" in one]
    return Trial(corpus, answers, min(starts), said[-1]["memory_mb"])


def _child(engine: str, corpus: Corpus, limit: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "bench.ocr.child", engine, str(corpus.folder), str(limit)]
    environment = {**os.environ, **_ONE_THREAD, STARTED_AT: str(time.time())}
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
