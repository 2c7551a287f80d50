"""Starts what a worker process does beside its jobs, once, and ends it last."""

from typing import Any

from celery import bootsteps
from celery.concurrency.thread import TaskPool
from celery.signals import worker_process_init, worker_shutdown
from celery.worker import WorkController

from hmt_pass.job import Lane
from worker import children, stacks
from worker.heartbeat import Heartbeat
from worker.housekeeping import Housekeeping
from worker.metrics import process
from worker.services import services

NO_AUTOSCALE = (
    "--autoscale cannot change how many threads a worker has. "
    "Leave it out and set HMT_PASS_CONCURRENCY; or add `-P processes`, which it can change"
)
NO_TIME_LIMIT = (
    "--time-limit and --soft-time-limit would cut calls short that may be charged. "
    "Leave them out and set HMT_PASS_TOTAL_TIMEOUT_S and HMT_PASS_STORAGE_TIMEOUT_S"
)


class Duties(bootsteps.StartStopStep):
    """Heartbeat, housekeeping and what answers for the worker, in threads that live as long as the process does.

    While it shuts down, jobs still run.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:  # noqa: ANN401  the stubs leave out what is asked here
        super().__init__(worker, **options)
        if worker.autoscale and issubclass(worker.pool_cls, TaskPool):
            raise SystemExit(f"worker: {NO_AUTOSCALE}")
        if worker.time_limit or worker.soft_time_limit:
            raise SystemExit(f"worker: {NO_TIME_LIMIT}")

    def start(self, worker: WorkController) -> None:
        """Called once, before anything is consumed."""
        stacks.answer_sigusr1()
        heartbeat = Heartbeat(services(), lanes_of(worker))
        heartbeat.start()
        Housekeeping(services()).start()
        process.serve(services(), heartbeat)


def lanes_of(worker: WorkController) -> list[Lane]:
    """The lanes that a worker was started for, by `-Q` and `-X`; a hold later pauses what it consumes."""
    queues = worker.app.amqp.queues.consume_from
    return [lane for lane in Lane if lane.queue in queues]


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
    Heartbeat(services(), lanes=[]).start()
