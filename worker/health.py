"""Whether this worker does its work: it consumes, or has a good reason not to. To be alive is not enough.

Everything is answered from memory, so whoever asks is answered at once, also while Redis or the broker is frozen: a
thread asks those two.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery.worker import state

from hmt_pass import __version__
from hmt_pass.errors import StoreError
from hmt_pass.job import Lane
from worker import beats
from worker.consuming import Loop
from worker.heartbeat import Heartbeat
from worker.services import Services

LOOK_EVERY_S = 2.0
LOOK_LATE_S = 30.0  # a look takes 5 s when a store is frozen, and up to 10 s to connect to RabbitMQ
STANDSTILL_S = 20.0  # while Redis is frozen the loop waits for it, 5 s at a time
IDLE_S = 10.0  # after a release the loop consumes again within a second
DEAF_S = 30.0  # half of what the heartbeat allows before it ends the process
_state: Any = state  # the stubs leave out most of what is asked here


def jobs_in_hand() -> int:
    """Jobs that this worker has taken and not given back or ended, in whichever pool they run."""
    return len(_state.reserved_requests)


def is_shutting_down() -> bool:
    """Whether celery has been told to end this worker, warmly or at once."""
    return any(told is not None and told is not False for told in (_state.should_stop, _state.should_terminate))


class Health:
    """The judgement on one worker. `start` it once; the other methods are thread-safe."""

    def __init__(self, services: Services, heartbeat: Heartbeat, loop: Loop) -> None:
        self.capacity = services.settings.concurrency
        self._services = services
        self._heartbeat = heartbeat
        self._loop = loop
        self._late_s = services.settings.visibility_timeout_s / 2
        self._silent: list[str] = []
        self._on_hold = False
        self._looked_at = self._consumed_at = time.monotonic()

    def start(self) -> None:
        """Look at Redis and the broker from now until the process ends."""
        threading.Thread(target=self._run, name="health", daemon=True).start()

    def look(self) -> None:
        """Ask Redis and the broker whether they answer, and whether the account is on hold."""
        self._silent = unanswered(self._learn_of_the_hold, self._services)
        self._looked_at = time.monotonic()
        if self._loop.consumes or self._on_hold:
            self._consumed_at = self._looked_at

    def problems(self) -> list[str]:
        """Why this worker does not do its work; empty when it does, or is held on purpose."""
        if is_shutting_down():
            return ["it is shutting down"]
        return [*self._silent, *self._standing_still(), *self._late(), *self._deaf()]

    def report(self) -> tuple[bool, Mapping[str, object]]:
        """Whether this worker is healthy, and what /healthz says of it. No data of any job."""
        problems = self.problems()
        word = "not consuming" if problems else "held" if self._on_hold else "consuming"
        return not problems, {
            "state": word,
            "problems": problems,
            "worker": self._services.worker,
            "version": __version__,
            "jobs_in_hand": jobs_in_hand(),
            "capacity": self.capacity,
        }

    def _run(self) -> None:
        while True:
            self.look()
            time.sleep(LOOK_EVERY_S)

    def _learn_of_the_hold(self) -> None:
        self._on_hold = self._services.hold.is_on()

    def _standing_still(self) -> list[str]:
        if not self._loop.connected:
            return ["it is not connected to the broker"]
        age_s, idle_s = self._loop.age_s(), time.monotonic() - self._consumed_at
        if age_s > STANDSTILL_S:
            return [f"the loop that takes messages has stood still for {age_s:.0f} s"]
        if not self._loop.consumes and not self._on_hold and idle_s > IDLE_S:
            return [f"it has not consumed for {idle_s:.0f} s, although there is no hold"]
        return []

    def _late(self) -> list[str]:
        ages_s = {
            "heartbeat": (beats.oldest_age_s(), self._late_s),
            "look at Redis and the broker": (time.monotonic() - self._looked_at, LOOK_LATE_S),
        }
        return [f"the last {what} was {age_s:.0f} s ago" for what, (age_s, late_s) in ages_s.items() if age_s > late_s]

    def _deaf(self) -> list[str]:
        left_s = self._heartbeat.left_waiting_s
        if left_s > DEAF_S and jobs_in_hand() < self.capacity:
            return [f"it is deaf: messages have waited for {left_s:.0f} s, it has room and takes none"]
        return []


def unanswered(ask_redis: Callable[[], object], services: Services) -> list[str]:
    """A line for each that does not answer: Redis to `ask_redis`, the broker to how many messages wait.

    Both are asked at once: a frozen server takes 5 s to be found out.
    """
    questions: dict[str, Callable[[], object]] = {
        "Redis": ask_redis,
        "the broker": lambda: services.queues.waiting(Lane.INTERACTIVE.queue),
    }
    with ThreadPoolExecutor(len(questions)) as threads:
        return [line for line in threads.map(_silence, questions, questions.values()) if line]


def _silence(name: str, ask: Callable[[], object]) -> str:
    try:
        ask()
    except StoreError as error:
        return f"{name} does not answer ({error})"
    return ""
