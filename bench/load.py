"""The endpoint under more calls than it can answer, for minutes: `python -m bench load [--help]`, `make bench-load`.

Measures its capacity with as many callers as it has cores, then offers a multiple of it at random moments, whether the
earlier calls are answered or not. Every call has to be answered, and memory must not grow. Linux only.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, quantiles
from tempfile import TemporaryDirectory

from bench import abuse
from bench.offer import API_ID, API_SECRET, UNANSWERED, Calls, Outcome
from local.process import Process, ProcessError
from local.services import CHECKOUT

PHOTOS = 24
SEED = 7
MOST_AT_ONCE = 500
"""Calls of ours that may be open; the endpoint answers early, so that it takes a broken one to get there."""
GROWTH = 0.05
"""Of the mean resident memory, last third over second third."""
LONG_ENOUGH_S = 300.0
"""The store of images under their image_id has to be full before growth means anything: some 100 s."""
ABUSE_EVERY_S = 2.0

_CORES = os.cpu_count() or 1
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


class Endpoint(Process):
    """The endpoint as a user starts it."""

    def __init__(self, log: Path) -> None:
        environment = {"HMT_PASS_API_ID": API_ID, "HMT_PASS_API_SECRET": API_SECRET}
        command = [sys.executable, "-m", "hmt_pass.endpoint", "--port", "0"]
        super().__init__("endpoint", command, log, environment, cwd=CHECKOUT)

    def ready(self) -> bool:
        """Whether it has said where it listens."""
        return bool(self.url)

    @property
    def url(self) -> str:
        """Where it listens; empty until it does."""
        return self.log.read_text().partition("endpoint ready ")[2].partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Vitals:
    """A process at one moment."""

    resident_mb: float
    files: int
    threads: int
    cpu_s: float

    @classmethod
    def of(cls, pid: int) -> "Vitals":
        """Those of a process now."""
        proc = Path(f"/proc/{pid}")
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        resident_mb = int((proc / "statm").read_text().split()[1]) * _PAGE_MB
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        return cls(resident_mb, len(list((proc / "fd").iterdir())), int(fields[17]), cpu_s)


def main(argv: list[str]) -> int:
    """Run the test and print what came of it; 1 when the endpoint failed."""
    parser = argparse.ArgumentParser(prog="python -m bench load", description="The endpoint under overload.")
    parser.add_argument("--times", type=float, default=1.5, help="of its capacity")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--capacity-s", type=float, default=20.0, help="how long the capacity is measured")
    parser.add_argument("--abuse", action="store_true", help="beside it slow, huge, gone and idle callers")
    arguments = parser.parse_args(argv)
    with TemporaryDirectory() as name:
        try:
            with Endpoint(Path(name) / "endpoint.log") as endpoint:
                return asyncio.run(_run(endpoint, Calls(endpoint.url, PHOTOS, SEED), arguments))
        except ProcessError as error:
            sys.exit(str(error))  # while its log is still there


async def _run(endpoint: Endpoint, calls: Calls, arguments: argparse.Namespace) -> int:
    per_s = await _capacity(calls, arguments.capacity_s)
    seconds, offered_per_s = arguments.minutes * 60, per_s * arguments.times
    print(f"capacity {per_s:.2f} calls/s with {_CORES} callers; now {offered_per_s:.2f} calls/s for {seconds:.0f} s\n")
    rng, vitals = random.Random(SEED), [Vitals.of(endpoint.pid)]
    own_cpu_s, start_s = time.process_time(), time.monotonic()
    helpers = [asyncio.create_task(_watch(endpoint, vitals, min(10.0, seconds / 30)))]
    if arguments.abuse:
        helpers.append(asyncio.create_task(abuse.keep_on(calls, random.Random(SEED), ABUSE_EVERY_S)))
    outcomes = await _offer(calls, rng, offered_per_s, start_s + seconds)
    took_s = time.monotonic() - start_s
    for helper in helpers:
        helper.cancel()
    await asyncio.wait(helpers)
    _print_answers(outcomes)
    _print_vitals(vitals, took_s, (time.process_time() - own_cpu_s) / took_s)
    failures = _failures(endpoint, outcomes, [each.resident_mb for each in vitals], seconds)
    print("\n" + ("\n".join(failures) or "passed: every call was answered, and memory did not grow"))
    return bool(failures)


async def _capacity(calls: Calls, seconds: float) -> float:
    """Calls a second that are answered when each caller waits for its answer."""

    async def caller() -> int:
        answered = 0
        while time.monotonic() < end_s:
            answered += (await calls.make()).code != UNANSWERED
        return answered

    await calls.make()
    start_s = time.monotonic()
    end_s = start_s + seconds
    answered = sum(await asyncio.gather(*(caller() for _ in range(_CORES))))
    return answered / (time.monotonic() - start_s)


async def _offer(calls: Calls, rng: random.Random, per_s: float, until_s: float) -> list[Outcome]:
    """Calls at the moments of a Poisson process, each on its own; what became of them all."""
    room = asyncio.Semaphore(MOST_AT_ONCE)

    async def call() -> Outcome:
        async with room:
            return await calls.make()

    made: list[asyncio.Task[Outcome]] = []
    next_s = time.monotonic()
    while next_s < until_s:
        await asyncio.sleep(next_s - time.monotonic())
        made.append(asyncio.create_task(call()))
        next_s += rng.expovariate(per_s)
    return await asyncio.gather(*made)


async def _watch(endpoint: Endpoint, vitals: list[Vitals], every_s: float) -> None:
    while endpoint.running:
        await asyncio.sleep(every_s)
        vitals.append(Vitals.of(endpoint.pid))


def _print_answers(outcomes: list[Outcome]) -> None:
    by_code: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        by_code[outcome.code].append(outcome.took_s)
    print(f"{'code':<12}{'calls':>8}{'p50 s':>10}{'p95 s':>10}{'max s':>10}")
    for code, took_s in sorted(by_code.items()):
        cuts = quantiles([*took_s, took_s[-1]], n=20, method="inclusive")
        print(f"{code:<12}{len(took_s):>8}{cuts[9]:>10.3f}{cuts[18]:>10.3f}{max(took_s):>10.3f}")


def _print_vitals(vitals: list[Vitals], took_s: float, own_cores: float) -> None:
    print(f"\n{'endpoint':<12}{'first':>10}{'most':>10}{'last':>10}")
    for name in ("resident_mb", "files", "threads"):
        seen = [getattr(each, name) for each in vitals]
        print(f"{name:<12}{seen[0]:>10.0f}{max(seen):>10.0f}{seen[-1]:>10.0f}")
    cores = (vitals[-1].cpu_s - vitals[0].cpu_s) / took_s
    print(f"\nCPU: endpoint {cores:.2f} cores, this program {own_cores:.3f}, of {_CORES}")


def _failures(endpoint: Endpoint, outcomes: list[Outcome], resident_mb: list[float], seconds: float) -> list[str]:
    unanswered = sum(outcome.code == UNANSWERED for outcome in outcomes)
    failures = [f"failed: {unanswered} calls were not answered"] if unanswered else []
    if not endpoint.running:
        failures.append("failed: the endpoint ended")
    third = len(resident_mb) // 3
    growth = fmean(resident_mb[-third:]) / fmean(resident_mb[third : 2 * third]) - 1
    print(f"memory: last third {growth:+.1%} over second third" + (" (too short to judge)" * (seconds < LONG_ENOUGH_S)))
    if seconds >= LONG_ENOUGH_S and growth > GROWTH:
        failures.append("failed: memory grew")
    return failures
