"""`python -m local rehearse`: an outage in the middle of a large queue, played through on this machine and audited."""

import json
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from hmt_pass.producer import Producer
from local import outage
from local.checks import Checks
from local.outage import Outage
from local.services import Exporter
from local.stack import Cast, running_stack
from local.stage import Stage
from local.timeline import Timeline

JOBS = 10_000
OUTAGE_S = 60.0
WORKERS = 2
RATE_PER_S = 64.0


def run(folder: Path, jobs: int = JOBS, outage_s: float = OUTAGE_S, *, on_rabbitmq: bool = False) -> int:
    """Rehearse with the state in `folder`; 0 when all came out as it should. Writes `folder`/rehearsal.json."""
    began_s = time.monotonic()
    facts = folder / "rehearsal.json"
    facts.unlink(missing_ok=True)
    console = Console()
    cast = Cast(WORKERS, invents=True, on_rabbitmq=on_rabbitmq)
    with running_stack(folder / "rehearsal", lambda line: print(f"  {line}"), _settings(outage_s), cast) as stack:
        stage = Stage(stack, Producer(stack.redis.url, stack.environment["BROKER_URL"]), console, Checks(console))
        with Exporter(stack.logs / "exporter.log", stack.environment) as exporter:
            timeline = Timeline(console, exporter.url, stack.workers, [*stack.processes, exporter])
            played = Outage(stage, timeline, jobs, outage_s, RATE_PER_S)
            outage.play(played)
        _write(played, facts)
        console.rule("Stopping: the workers before Redis")
    checks = stage.checks
    print(f"{checks.met} of {len(checks.made)} checks ok in {time.monotonic() - began_s:.0f} s.")
    print(f"Facts: {facts}; logs: {stack.logs}.")
    return 0 if checks.ok else 1


def _write(played: Outage, path: Path) -> None:
    """The facts of the rehearsal as JSON."""
    checks = played.stage.checks
    report = {"ok": checks.ok, "jobs": played.jobs, **played.facts, "checks": [asdict(check) for check in checks.made]}
    path.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _settings(outage_s: float) -> dict[str, str]:
    """A canary after every third of the outage: two while it lasts, as a rule, and one right after it."""
    return {"HMT_PASS_CANARY_AFTER_S": f"{outage_s / 3:g}", "HMT_PASS_RATE_PER_S": f"{RATE_PER_S:g}"}
