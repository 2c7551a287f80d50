"""What keeps a living worker's jobs its own, and ends a worker that lives no more: a thread beside all others.

It renews bookings and claims, so that those of a dead worker lapse within the visibility timeout. And it watches: a job
that is stuck in a call which cannot be interrupted, a worker that is deaf (its queue has messages and it takes
none; celery#8030, #10205), and a pool that takes no job (no thread can be started) end the process, with every thread's
stack in the log. Whatever starts workers starts a new one.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Collection

from hmt_pass.errors import StoreError
from hmt_pass.job import Lane
from worker import beats, children, pulse, stacks
from worker.observe import log
from worker.services import Services

RENEWALS_A_LEASE = 4
DEAF_AFTER_S = 60.0
REFUSALS_IN_A_ROW = 10  # with the pause after each, ten seconds
OVERDUE_SLACK_S = 10.0  # a job that has waited for a slow Redis writes its last words
EXIT_CODE = 70  # EX_SOFTWARE


class Heartbeat:
    """One for each process that runs jobs. `beat` never raises."""

    def __init__(self, services: Services, lanes: Collection[Lane]) -> None:
        """`lanes` are those that this process was started to take messages from: none in a child."""
        self._services = services
        self._lanes = lanes
        self._every_s = services.settings.visibility_timeout_s / RENEWALS_A_LEASE
        self._waiting_since: float | None = None
        self._ending_since: float | None = None

    def start(self) -> None:
        """Beat from now until the process ends."""
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def beat(self) -> None:
        """Renew everything, and look whether this process still does its work."""
        bookings = self._services.bookings
        renewals = [self._services.leases.renew, *([bookings.renew] if bookings else [])]
        missed = [renew for renew in renewals if not _is_done(renew)]  # each is done, whatever became of the other
        if self._ending_since is not None:
            self._end_hard()
        elif not missed:
            self._look_for_stuck_jobs()
            self._look_whether_deaf()
            self._look_whether_the_pool_refuses()
        beats.beat(len(missed))

    @property
    def left_waiting_s(self) -> float:
        """For how long messages have waited while there was room for them and none was taken; 0 when that is not so."""
        since = self._waiting_since
        return 0.0 if since is None else min(time.monotonic() - since, pulse.age_s())

    def _run(self) -> None:
        while True:
            self.beat()
            time.sleep(self._every_s)

    def _look_for_stuck_jobs(self) -> None:
        overdue = self._services.leases.overdue(OVERDUE_SLACK_S)
        if overdue:
            self._end("a job is stuck", jobs=overdue)

    def _look_whether_deaf(self) -> None:
        if not self._lanes or not _is_done(self._is_left_waiting):
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = time.monotonic()
        elif self.left_waiting_s > DEAF_AFTER_S:
            self._end("messages wait and none is taken")

    def _look_whether_the_pool_refuses(self) -> None:
        if self._ending_since is None and pulse.refusals() >= REFUSALS_IN_A_ROW:
            self._end("the pool takes no jobs")

    def _is_left_waiting(self) -> bool:
        """Whether there is work, and room for it, and no hold."""
        services = self._services
        has_room = services.leases.count() < services.settings.concurrency
        return (
            has_room and any(services.queues.waiting(lane.queue) for lane in self._lanes) and not services.hold.is_on()
        )

    def _end(self, reason: str, jobs: list[str] | None = None) -> None:
        """Ask for a warm shutdown: what runs well may finish. A child has nothing but the job that is stuck."""
        log.critical("worker.ends", reason=reason, jobs=jobs or [], stacks=stacks.of_all_threads())
        self._ending_since = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM if self._lanes else children.COLD_SIGNAL)

    def _end_hard(self) -> None:
        """Exit once only stuck jobs are left, or when the shutdown itself takes too long."""
        leases, ending_s = self._services.leases, time.monotonic() - (self._ending_since or 0.0)
        overdue = len(leases.overdue())
        if (overdue and overdue == leases.count()) or ending_s > self._services.settings.deadline_s:
            log.critical("worker.killed_itself", jobs=leases.overdue())
            os._exit(EXIT_CODE)


def _is_done(duty: Callable[[], object]) -> bool:
    """Whether the duty was done, and did not say no."""
    try:
        return duty() is not False
    except StoreError as error:
        log.warning("heartbeat.missed", reason=str(error))
        return False
