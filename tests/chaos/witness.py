"""A worker that lives through a whole soak: what it keeps of memory and file descriptors while jobs pass through it."""

import os
import resource
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from typing import Self

EVERY_S = 2.0
WARM_UP = 0.2  # the share of a soak in which pools and caches fill
MB = 1024 * 1024


@dataclass
class Witness:
    """`with Witness(pid)` looks at a process every 2 s; `samples` are Unix time and resident memory in MB."""

    pid: int
    samples: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def descriptors(self) -> int:
        """How many file descriptors it has open now."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208  only the number

    def mb_a_thousand_jobs(self, job_times: Sequence[float]) -> float:
        """The slope of its memory over the jobs it had ended by then, from their times (Unix, ascending)."""
        warm = self.samples[int(len(self.samples) * WARM_UP) :]
        jobs = [bisect_right(job_times, at_s) / 1000 for at_s, _ in warm]
        return linear_regression(jobs, [taken_mb for _, taken_mb in warm]).slope

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            self.samples.append((time.time(), pages * resource.getpagesize() / MB))
