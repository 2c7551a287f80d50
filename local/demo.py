"""`python -m local demo`: the whole system on this machine, at work on drawn permits, and checked."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from hmt_pass.producer import Producer
from local import acts, cards, tables
from local.checks import Checks
from local.stack import running_stack
from local.stage import Stage

WIDE_ENOUGH = 150  # columns; a pipe has none of its own
# A demo does not wait as long as a fleet would, and it looks into Flower from outside.
SETTINGS = {"HMT_PASS_RETRY_BASE_S": "0.5", "FLOWER_UNAUTHENTICATED_API": "true"}


def run(folder: Path) -> int:
    """Run the demo with its state in `folder`; 0 when everything came out as it should. Writes `folder`/demo.json."""
    began_s = time.monotonic()
    console = Console(width=None if Console().is_terminal else WIDE_ENOUGH)
    console.print(
        "Every person and every number below is invented, so the fields may be shown; no real one ever would be."
    )
    # The cards are drawn while the processes start.
    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(lambda: (cards.first(), cards.later()))
        with running_stack(
            folder / "demo", lambda line: console.print(f"  {line}", highlight=False), SETTINGS
        ) as stack:
            stage = Stage(stack, Producer(redis_url=stack.redis.url), console, Checks(console))
            first, later = drawing.result()
            acts.read_all(stage, first)
            acts.run_out_of_money(stage, later)
            acts.look_back(stage)
            _write(stage, folder / "demo.json", time.monotonic() - began_s)
            console.rule("Stopping: the worker before Redis")
    return _verdict(stage, folder, time.monotonic() - began_s)


def _write(stage: Stage, path: Path, took_s: float) -> None:
    """The facts of the demo as JSON."""
    report = {
        "ok": stage.checks.ok,
        "took_s": round(took_s, 1),
        "checks": [asdict(check) for check in stage.checks.made],
        "jobs": [tables.facts(stage, one) for one in stage.sent],
        "endpoint": dict(stage.counters()),
        "processes": {process.name: process.pid for process in stage.stack.processes},
    }
    path.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _verdict(stage: Stage, folder: Path, took_s: float) -> int:
    checks, met = stage.checks.made, sum(check.ok for check in stage.checks.made)
    print(
        f"{met} of {len(checks)} checks ok in {took_s:.0f} s. Facts: {folder / 'demo.json'}. Logs: {stage.stack.logs}"
    )
    print("`make up` keeps it all running, with Flower to look at.")
    return 0 if stage.checks.ok else 1
