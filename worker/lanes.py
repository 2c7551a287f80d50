"""In which order the queues are asked: interactive first, bulk when it is empty, and bulk first now and then."""

import threading
from collections import deque
from collections.abc import Callable, Iterable

from hmt_pass.job import Lane

BULK_FIRST_EVERY = 8  # one job in eight is bulk while both queues are full: bulk is slow, never starved


class LaneCycle:
    """kombu's queue_order_strategy: strict priority but for every BULK_FIRST_EVERYth message."""

    def __init__(self) -> None:
        self._queues: list[str] = []
        self._fetched = 0

    def update(self, queues: Iterable[str]) -> None:
        """Told whenever the queues that are consumed change."""
        self._queues = list(queues)

    def consume(self, count: int) -> list[str]:
        """At most `count` queues, the one to ask first at the front."""
        bulk_first = self._fetched % BULK_FIRST_EVERY == BULK_FIRST_EVERY - 1
        return sorted(self._queues, key=lambda queue: (queue == Lane.BULK.queue) != bulk_first)[:count]

    def rotate(self, last_used: str) -> str:
        """Told after each message which queue it came from."""
        self._fetched += 1
        return last_used


class LaneTurns:
    """The same order for jobs that a worker has in hand and has not begun.

    RabbitMQ hands out the messages of both queues alike; so the pool takes more of each than it has threads for, and
    chooses here. Thread-safe. On Redis nothing waits here: the queues are asked for as many jobs as there are threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Lane, deque[Callable[[], object]]] = {lane: deque() for lane in Lane}
        self._taken = 0

    def put(self, lane: Lane, job: Callable[[], object]) -> None:
        """Have a job wait for its turn."""
        with self._lock:
            self._waiting[lane].append(job)

    def take_back(self, lane: Lane, job: Callable[[], object]) -> bool:
        """Have a job wait no longer; False when its turn has come already."""
        with self._lock:
            if job not in self._waiting[lane]:
                return False
            self._waiting[lane].remove(job)
            return True

    def take_one(self) -> None:
        """Run the job whose turn it is; to be called once for each that was put. Nothing, when it was taken back."""
        job = self._next()
        if job:
            job()

    def _next(self) -> Callable[[], object] | None:
        with self._lock:
            if not any(self._waiting.values()):
                return None
            bulk_first = self._taken % BULK_FIRST_EVERY == BULK_FIRST_EVERY - 1
            first, second = (Lane.BULK, Lane.INTERACTIVE) if bulk_first else (Lane.INTERACTIVE, Lane.BULK)
            self._taken += 1
            return (self._waiting[first] or self._waiting[second]).popleft()
