"""The faults of a soak: each takes a few seconds, leaves everything as it was, and may come in any order."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos.nursery import Child
from chaos.world import World

LEASE_S = 5.0  # of the full form
SHORTER, LONGER = (0.2, 0.7), (1.3, 2.0)  # than a lease, in leases
METHODS = {"GET", "PUT"}


@dataclass
class Troubles:
    """What befalls a fleet of `size` workers, of which `spared` is never told to end nor stopped."""

    world: World
    size: int
    spared: Child
    done: Counter[str] = field(default_factory=Counter)

    @property
    def chance(self) -> random.Random:
        return self.world.chance

    def make_one(self) -> None:
        """One at random."""
        name, make = self.chance.choice(list(self._kinds().items()))
        make()
        self.done[name] += 1

    def _kinds(self) -> dict[str, Callable[[], None]]:
        servers = [self.world.redis.pid, *([self.world.rabbit.pid] if self.world.rabbit else [])]
        return {
            "SIGKILL": self._kill,
            "SIGTERM": self._deploy,
            "connections reset": self._reset,
            "server frozen shortly": lambda: self._freeze(self.chance.choice(servers), SHORTER),
            "server frozen beyond the lease": lambda: self._freeze(self.chance.choice(servers), LONGER),
            "worker frozen shortly": lambda: self._freeze(self._victim().pid, SHORTER),
            "worker frozen beyond the lease": lambda: self._freeze(self._victim().pid, LONGER),
            "S3 503": self._refuse_s3,
        }

    def _victim(self) -> Child:
        return self.chance.choice([one for one in self.world.fleet.workers if one is not self.spared and one.running])

    def _kill(self) -> None:
        self._victim().kill()
        self.world.fleet.keep(self.size)

    def _deploy(self) -> None:
        victim = self._victim()
        self.world.fleet.start()
        self.world.fleet.workers.remove(victim)
        victim.signal(signal.SIGTERM)
        victim.wait(30)

    def _reset(self) -> None:
        for gate in (self.world.redis_gate, self.world.rabbit_gate):
            if gate:
                gate.reset_all()

    def _freeze(self, pid: int, leases: tuple[float, float]) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(LEASE_S * self.chance.uniform(*leases))
        os.kill(pid, signal.SIGCONT)

    def _refuse_s3(self) -> None:
        assert self.world.s3_gate is not None
        self.world.s3_gate.answer(503, "SlowDown", methods=METHODS, share=self.chance.choice([0.5, 1.0]))
        time.sleep(self.chance.uniform(1, 4))
        self.world.s3_gate.open()
