"""What happens, printed as it happens: the workers' words about hold and canary, and the fleet's figures in between."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import requests
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from local.process import Process
from local.stage import answer_of

LOOK_EVERY_S = 0.5
FIGURES_EVERY_S = 5.0

TOLD: Mapping[str, str] = {
    "hold.opened": "opens the hold: {code} {reason}",
    "hold.noticed": "stops consuming",
    "hold.canary_sent": "sends a canary: one message of {queue}, one call",
    "hold.canary_came_back": "has its canary back: {outcome} {code}{error}",
    "hold.over": "consumes again",
    "job.dead_lettered": "makes job {job_id:.8} a dead letter: {code} {reason}",
    # What has no place in a rehearsal.
    "job.bug": "has a bug: {reason}",
    "job.was_lost": "finds job {job_id:.8} missing in the broker",
    "bookings.restored": "gives back what a dead worker had",
    "worker.ends": "is in trouble and ends: {reason}",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Where the fleet stands: messages that wait, calls under way, jobs that are recognized, dead letters."""

    waiting: int = 0
    under_way: int = 0
    recognized: int = 0
    dead: int = 0
    on_hold: bool = False

    @classmethod
    def from_metrics(cls, text: str) -> Self | None:
        """Those that the exporter serves; None when Redis or the broker is silent: then some are missing."""
        sums: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "hmt_pass_store_up" and not sample.value:
                    return None
                name = f"{sample.name} {sample.labels['end']}" if "end" in sample.labels else sample.name
                sums[name] = sums.get(name, 0) + sample.value
        return cls(
            waiting=int(sums.get("hmt_pass_queue_jobs", 0)),
            under_way=int(sums.get("hmt_pass_calls_in_flight", 0)),
            recognized=int(sums.get("hmt_pass_jobs_ended_total recognized", 0)),
            dead=int(sums.get("hmt_pass_dead_letters", 0)),
            on_hold=bool(sums.get("hmt_pass_hold_active", 0)),
        )


class Timeline:
    """Begins when it is made. `exporter_url` serves the figures, the `workers` tell; they and `others` may not end."""

    def __init__(
        self, console: Console, exporter_url: str, workers: Sequence[Process], others: Sequence[Process] = ()
    ) -> None:
        self._console = console
        self._metrics_url = f"{exporter_url}/metrics"
        self._processes = [*workers, *others]
        self._logs = [_Log(worker.log) for worker in workers]
        self._began = time.time()
        self._shown: tuple[float, Figures | None] = self._began, None
        self._looks: deque[tuple[float, int]] = deque()  # when, and how many were recognized by then

    def say(self, text: str) -> None:
        """A line that stands out."""
        self._line(text, time.time(), "bold")

    def watch(self, condition: Callable[[Figures], bool], timeout_s: float) -> Figures:
        """Print what happens until the condition is true, or the time is up; returns the last figures.

        All are 0 when there were none at last. Raises ProcessError when a process has ended.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self._tell()
            for process in self._processes:
                process.check_running()
            figures = self._figures()
            met = figures is not None and condition(figures)
            if figures:
                self._show(figures, at_once=met)
            if met or time.monotonic() > deadline:
                return figures or Figures()
            time.sleep(LOOK_EVERY_S)

    def _figures(self) -> Figures | None:
        try:
            return Figures.from_metrics(answer_of("GET", self._metrics_url).text)
        except requests.RequestException:
            return None

    def _show(self, figures: Figures, *, at_once: bool) -> None:
        now = time.time()
        self._looks.append((now, figures.recognized))
        while self._looks[0][0] < now - FIGURES_EVERY_S:
            self._looks.popleft()
        is_due = now - self._shown[0] >= FIGURES_EVERY_S and figures != self._shown[1]
        if not (is_due or at_once):
            return
        self._shown = now, figures
        then, before = self._looks[0]
        rate = (figures.recognized - before) / max(now - then, LOOK_EVERY_S)
        self._line(
            f"{figures.waiting:>6} wait  {figures.under_way:>3} calls under way  {figures.recognized:>6} recognized"
            f"  {rate:>3.0f} a second  {figures.dead} dead{'  on hold' if figures.on_hold else ''}",
            now,
        )

    def _tell(self) -> None:
        told = sorted((event for log in self._logs for event in log.new()), key=lambda event: event[0])
        for at, text in told:
            self._line(text, at, "cyan")

    def _line(self, text: str, at: float, style: str = "") -> None:
        line = f"{at - self._began:>7.1f} s  {text}"
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


class _Log:
    """A worker's log, read line by line as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self) -> Iterator[tuple[float, str]]:
        """What was told since the last look: when, and in words."""
        with self._path.open("rb") as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                if entry := _entry(line):
                    moment = datetime.fromisoformat(entry["timestamp"]).timestamp()
                    yield moment, f"{self._path.stem} {_words(entry)}"


def _entry(line: bytes) -> dict[str, Any] | None:
    """The line's object when it is one to tell; Celery's banner is none, and most events are too many."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and entry.get("event") in TOLD else None


def _words(entry: Mapping[str, Any]) -> str:
    texts = {name: entry.get(name) or "" for name in ("code", "error", "reason", "queue", "outcome", "job_id")}
    return TOLD[entry["event"]].format(**texts).strip()
