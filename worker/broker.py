"""What the worker asks of its broker beside consuming, on Redis and on RabbitMQ alike.

Every method raises StoreError when the broker does not answer. Dead letters are the third part: worker.dead_letters.
"""

from typing import Protocol

from worker.envelope import TaskMessage


class Queues(Protocol):
    """The queues that jobs wait in."""

    def publish(self, message: TaskMessage) -> None:
        """Put a message on its home queue; when it returns, the broker has it."""

    def waiting(self, queue: str) -> int:
        """How many messages of a queue no worker has taken."""

    def in_hand(self) -> set[str]:
        """The ids of the jobs that workers have taken; empty where the broker itself gives back what a worker drops."""


class Delays(Protocol):
    """Messages that wait for their time."""

    def put(self, job_id: str, message: TaskMessage, delay_s: float) -> None:
        """Have the message back on its home queue after `delay_s`."""

    def set_aside(self, message: TaskMessage) -> bool:
        """Have a message that cannot be worked on now back in a few seconds; False when giving it back does no harm.

        True means that it can be acknowledged.
        """

    def move_due(self, limit: int = 200) -> int:
        """Put at most `limit` messages whose time has come back on their queues; returns how many."""

    def due_at(self, job_id: str) -> str | None:
        """When the job's wait ends, ISO 8601 in UTC; None when it does not wait."""
