"""Starts what a worker process does beside its jobs, once, and ends it last."""

from typing import Any

from celery import bootsteps
from celery.signals import worker_process_init, worker_shutdown
from celery.worker import WorkController

from worker import children
from worker.heartbeat import Heartbeat
from worker.housekeeping import Housekeeping
from worker.metrics import process
from worker.services import services


class Duties(bootsteps.StartStopStep):
    """Heartbeat, housekeeping and what answers for the worker, in threads that live as long as the process does.

    While it shuts down, jobs still run.
    """

    requires = ("celery.worker.components:Pool",)

    def start(self, _worker: WorkController) -> None:
        """Called once, before anything is consumed."""
        heartbeat = Heartbeat(services(), consumes=True)
        heartbeat.start()
        Housekeeping(services()).start()
        process.serve(services(), heartbeat)


@worker_shutdown.connect
def give_back(**_: Any) -> None:  # noqa: ANN401  signal arguments
    """After a warm shutdown: what was taken and never begun need not wait for its booking to lapse."""
    bookings = services().bookings
    if bookings:
        bookings.give_back_all()


@worker_process_init.connect
def begin_child(**_: Any) -> None:  # noqa: ANN401  signal arguments
    """With `-P processes` the jobs, and so their claims, are in the children."""
    children.begin()
    Heartbeat(services(), consumes=False).start()
