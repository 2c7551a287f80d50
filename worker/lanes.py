"""In which order the queues are asked: interactive first, bulk when it is empty, and bulk first now and then."""

from collections.abc import Iterable

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
