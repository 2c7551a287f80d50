"""Several workers, each a process with a name, a log and fault points of its own."""

import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.nursery import Child, Nursery

READY_S = 30.0


@dataclass
class Fleet:
    """Starts workers with `environment`; `faults` (chaos.points) are those of every worker that starts from now on."""

    nursery: Nursery
    folder: Path
    environment: Mapping[str, str]
    chance: random.Random
    faults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stock_transport: bool = False
    workers: list[Child] = field(default_factory=list)
    kills: int = 0
    _count: int = 0

    @property
    def deaths(self) -> Path:
        """A line for each fault point that has bitten."""
        return self.folder / "deaths"

    @property
    def faults_injected(self) -> int:
        """Signals sent and fault points that have bitten."""
        bitten = self.deaths.read_text().count("\n") if self.deaths.exists() else 0
        return self.kills + bitten

    def start(self, count: int = 1, *, clock_s: float = 0.0, **settings: object) -> list[Child]:
        """Start workers side by side; returns once all are ready. Settings by their names without HMT_PASS_."""
        changed = {f"HMT_PASS_{name.upper()}": str(value) for name, value in settings.items()}
        started = [self._spawn(clock_s, {**self.environment, **changed}) for _ in range(count)]
        for worker in started:
            worker.wait_for(" ready.", READY_S)
        return started

    def kill_one(self) -> None:
        """SIGKILL a worker at random."""
        victim = self.chance.choice([worker for worker in self.workers if worker.running])
        victim.kill()
        self.kills += 1

    def keep(self, count: int) -> None:
        """Start anew what has died, without waiting until it is ready."""
        self.workers = [worker for worker in self.workers if worker.running]
        for _ in range(count - len(self.workers)):
            self._spawn(0.0, self.environment)

    def kill_for(self, kills: int, count: int, pause_s: tuple[float, float]) -> None:
        """Kill one of `count` workers at a random moment, start another, and so on."""
        for _ in range(kills):
            time.sleep(self.chance.uniform(*pause_s))
            self.keep(count)
            self.kill_one()
        self.keep(count)

    def heal(self, count: int) -> None:
        """Replace every worker by one without fault points."""
        self.faults = {}
        self.stop()
        self.start(count)

    def stop(self, grace_s: float = 30.0) -> list[int]:
        """SIGTERM to all; returns their exit codes."""
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
        codes = [worker.wait(grace_s) for worker in self.workers]
        self.workers = []
        return codes

    def end(self) -> None:
        """SIGKILL whatever is left; a stopped one too."""
        for worker in self.workers:
            worker.kill()
        self.workers = []

    def _spawn(self, clock_s: float, environment: Mapping[str, str]) -> Child:
        self._count += 1
        name = f"w{self._count}@chaos"
        options = {
            "name": name,
            "seed": self.chance.randrange(2**31),
            "faults": self.faults,
            "deaths": str(self.deaths),
            "clock_s": clock_s,
            "stock_transport": self.stock_transport,
        }
        log = self.folder / f"worker-{self._count}.log"
        worker = self.nursery.spawn(name, "chaos.child:work", log, environment, options)
        self.workers.append(worker)
        return worker
