"""Whether this process takes messages, and when the loop that takes them last went round: said by that loop itself."""

import time
from typing import Any

from celery import bootsteps
from celery.worker.consumer import Consumer

from hmt_pass.job import Lane

TICK_S = 1.0


class Loop:
    """The state of the loop that consumes. Written by its own thread, read by any."""

    def __init__(self) -> None:
        self.connected = False
        self.consumes = False
        self._went_round_at = time.monotonic()

    def goes_round(self, *, connected: bool, consumes: bool) -> None:
        """Told by the loop each TICK_S, and when a connection is lost."""
        self.connected, self.consumes = connected, consumes
        self._went_round_at = time.monotonic()

    def age_s(self) -> float:
        """Seconds since the loop last went round."""
        return time.monotonic() - self._went_round_at


loop = Loop()


class ConsumingWatch(bootsteps.StartStopStep):
    """Runs on the worker's own timer, in the thread that consumes: when that stands still, so does this."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Consumer, **options: Any) -> None:  # noqa: ANN401  passed through to celery
        super().__init__(consumer, **options)
        self._timer: Any = None

    def start(self, consumer: Consumer) -> None:
        """Called when a connection stands, again after each that was lost."""
        self._look(consumer)
        self._timer = consumer.timer.call_repeatedly(TICK_S, self._look, (consumer,))

    def stop(self, _consumer: Consumer) -> None:
        """Called when the connection is lost, and at the end."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        loop.goes_round(connected=False, consumes=False)

    def _look(self, consumer: Any) -> None:  # noqa: ANN401  the stubs leave out what is asked here
        consumes = any(consumer.task_consumer.consuming_from(lane.queue) for lane in Lane)
        loop.goes_round(connected=True, consumes=consumes)
