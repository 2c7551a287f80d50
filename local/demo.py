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

# A demo does not wait as long as a fleet would, and it looks into Flower from outside.
SETTINGS = {"HMT_PASS_RETRY_BASE_S": "0.5", "FLOWER_UNAUTHENTICATED_API": "true"}


def run(folder: Path) -> int:
    """Run the demo with its state in `folder`; 0 when everything came out as it should. Writes `folder`/demo.json."""
    began_s = time.monotonic()
    facts = folder / "demo.json"
    facts.unlink(missing_ok=True)
    print("Every person and number below is invented; only therefore are they shown.")
    console = Console()
    # The cards are drawn while the processes start.
    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(lambda: (cards.first(), cards.later()))
        with running_stack(folder / "demo", lambda line: print(f"  {line}"), SETTINGS) as stack:
            stage = Stage(stack, Producer(stack.redis.url, stack.redis.url), console, Checks(console))
            first, later = drawing.result()
            acts.read_all(stage, first)
            acts.run_out_of_money(stage, later)
            acts.look_back(stage)
            _write(stage, facts, time.monotonic() - began_s)
            console.rule("Stopping: the worker before Redis")
    checks = stage.checks
    print(f"{checks.met} of {len(checks.made)} checks ok in {time.monotonic() - began_s:.0f} s.")
    print(f"Facts: {facts}; logs: {stack.logs}. `make up` keeps it all running.")
    return 0 if checks.ok else 1


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
