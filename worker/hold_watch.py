"""What stops a worker while the account is on hold: it polls the durable key and consumes only while it is not there.

Pausing through celery's remote control would be forgotten by a restart and unknown to a new worker; so whoever starts
during a hold does not consume either.
"""

from typing import Any

from celery import bootsteps
from celery.worker.consumer import Consumer

from hmt_pass.errors import StoreError
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

    def start(self, consumer: Consumer) -> None:
        """Look at once, then every POLL_S; called again after each reconnection, with all queues consumed anew."""
        self._paused = []
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
            on_hold = services().hold.is_on()
        except StoreError as error:
            log.warning("hold.unknown", reason=str(error))
            return
        if on_hold and not self._paused:
            self._pause(consumer)
        elif self._paused and not on_hold:
            self._resume(consumer)

    def _pause(self, consumer: Consumer) -> None:
        self._paused = list(consumer.app.amqp.queues.consume_from)
        for queue in self._paused:
            consumer.cancel_task_queue(queue)
        log.warning("hold.noticed", queues=self._paused)

    def _resume(self, consumer: Consumer) -> None:
        for queue in self._paused:
            consumer.add_task_queue(queue)
        log.warning("hold.over", queues=self._paused)
        self._paused = []
