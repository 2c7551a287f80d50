"""What stops a worker while the account is on hold: it polls the durable key and consumes only while it is not there.

Pausing through celery's remote control would be forgotten by a restart and unknown to a new worker; so whoever starts
during a hold does not consume either. When a canary is due, one worker in the fleet takes one message at a time until a
call has told how the account is.
"""

from typing import Any

from celery import bootsteps
from celery.worker.consumer import Consumer

from hmt_pass.errors import StoreError
from hmt_pass.job import Lane
from worker.hold import Look
from worker.observe import log
from worker.services import services

POLL_S = 0.5


class HoldWatch(bootsteps.StartStopStep):
    """Polls on the worker's own timer, in the thread that consumes. When Redis is silent, everything stays as it is."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Consumer, **options: Any) -> None:  # noqa: ANN401  passed through to celery
        super().__init__(consumer, **options)
        self._timer: Any = None
        self._paused: list[str] = []
        self._tried: str | None = None  # the queue that the canary is taken from
        self._prefetch = 0

    def start(self, consumer: Consumer) -> None:
        """Look at once, then every POLL_S; called again after each reconnection, with all queues consumed anew."""
        self._paused, self._tried = [], None
        self._look(consumer)
        self._timer = consumer.timer.call_repeatedly(POLL_S, self._look, (consumer,))

    def stop(self, consumer: Consumer) -> None:
        """Stop polling, and let a reconnection consume everything anew until the first look at the hold."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        queues = consumer.app.amqp.queues
        for name in self._paused:
            queues.select_add(queues[name])

    def _look(self, consumer: Consumer) -> None:
        try:
            look = services().hold.look()
            if look.info:
                self._stand_still(consumer, look)
            elif self._paused:
                self._resume(consumer)
        except StoreError as error:
            log.warning("hold.unknown", reason=str(error))

    def _stand_still(self, consumer: Consumer, look: Look) -> None:
        if not self._paused:
            self._pause(consumer)
        is_ours = look.info is not None and look.info.canary == services().hold.process
        if not is_ours:
            self._try_no_more(consumer)
        if look.is_due:
            self._try(consumer)

    def _pause(self, consumer: Consumer) -> None:
        self._paused = list(consumer.app.amqp.queues.consume_from)
        for queue in self._paused:
            consumer.cancel_task_queue(queue)
        log.warning("hold.noticed", queues=self._paused)

    def _try(self, consumer: Consumer) -> None:
        """Be the canary, if there is work for one and nobody else is; again, when our time for it is over."""
        queue = next((queue for queue in self._lanes() if services().queues.waiting(queue)), None)
        if not queue or not services().hold.take_canary() or self._tried:
            return
        self._tried, self._prefetch = queue, _prefetch(consumer, 1)
        consumer.add_task_queue(queue)
        log.warning("hold.canary_sent", queue=queue)

    def _try_no_more(self, consumer: Consumer) -> None:
        if self._tried:
            consumer.cancel_task_queue(self._tried)
            _prefetch(consumer, self._prefetch)
            self._tried = None

    def _resume(self, consumer: Consumer) -> None:
        self._try_no_more(consumer)
        for queue in self._paused:
            consumer.add_task_queue(queue)
        log.warning("hold.over", queues=self._paused)
        self._paused = []

    def _lanes(self) -> list[str]:
        """The queues of this worker, interactive first."""
        return [lane.queue for lane in Lane if lane.queue in self._paused]


def _prefetch(consumer: Any, messages: int) -> int:  # noqa: ANN401  the stubs leave out qos
    """Take so many messages at once, from the next queue that is consumed on; returns how many it was before."""
    before: int = consumer.qos.value
    consumer.qos.value = messages
    consumer.qos.update()
    return before
