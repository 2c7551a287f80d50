"""The queues on Redis: one list each, the next message at its right end."""

import json
from contextlib import suppress
from typing import Any

from hmt_pass import keys
from hmt_pass.store import Store
from worker.bookings import split_entry
from worker.envelope import TaskMessage


class RedisQueues:
    """worker.broker.Queues in the broker's Redis."""

    def __init__(self, broker: Store) -> None:
        self._broker = broker

    def publish(self, message: TaskMessage) -> None:
        """See worker.broker.Queues."""
        self._broker.lpush(message.home, message.envelope(message.home))

    def waiting(self, queue: str) -> int:
        """See worker.broker.Queues."""
        return int(self._broker.llen(queue))

    def in_hand(self) -> set[str]:
        """See worker.broker.Queues; what cannot be read is nobody's job."""
        found = set()
        for entry in self._broker.hvals(keys.BOOKED):
            with suppress(ValueError, LookupError, TypeError):
                item: Any = json.loads(split_entry(str(entry))[1])
                found.add(str(item["headers"]["id"]))
        return found
