"""What every worker does for the fleet beside its jobs, in a thread of its own: any worker can do it, one is enough.

Delayed messages go back to their queues when they are due, those of dead workers when their bookings have lapsed, and
those that the broker has lost are written anew, dead letters too. Dead letters that are too old go to the archive.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from hmt_pass.errors import ObjectDeniedError, StorageError, StoreError
from worker.hold import Kind
from worker.lost_letters import LostLetters
from worker.observe import log
from worker.retention import EVERY_S as EXPIRE_EVERY_S
from worker.retention import Retention
from worker.services import Services

MOVE_EVERY_S = 0.5
RESTORE_EVERY_S = 5.0
RECONCILE_EVERY_S = 30.0
TIDY_EVERY_S = 60.0
BUDGET_EVERY_S = 5.0
LEDGER_EVERY_S = 10.0


@dataclass(slots=True)
class _Duty:
    do: Callable[[], None]
    every_s: float
    next_at: float = 0.0


class Housekeeping:
    """Does each duty in its turn. A duty that Redis refuses is tried again in its next turn; the others go on."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._clock = clock
        lease_s = services.settings.visibility_timeout_s
        self._lease_s = lease_s
        self._duties = [
            _Duty(self._move_due, MOVE_EVERY_S),
            _Duty(self._restore, min(RESTORE_EVERY_S, lease_s / 4)),
            _Duty(self._reconcile, min(RECONCILE_EVERY_S, lease_s), next_at=clock() + lease_s),
            _Duty(self._tidy, TIDY_EVERY_S),
            _Duty(self._watch_budget, BUDGET_EVERY_S),
            _Duty(self._archive_ledger, LEDGER_EVERY_S),
            _Duty(self._expire, EXPIRE_EVERY_S),
        ]

    def start(self) -> None:
        """Keep house from now until the process ends."""
        threading.Thread(target=self._run, name="housekeeping", daemon=True).start()

    def make_rounds(self) -> None:
        """Do what is due."""
        now = self._clock()
        for duty in self._duties:
            if now < duty.next_at:
                continue
            duty.next_at = now + duty.every_s
            try:
                duty.do()
            except (StoreError, StorageError, ObjectDeniedError) as error:
                log.warning("housekeeping.failed", reason=str(error))
            except Exception as error:  # noqa: BLE001  a thread that ends keeps no house
                log.exception("housekeeping.bug", error=type(error).__name__)

    def _run(self) -> None:
        while True:
            self.make_rounds()
            time.sleep(MOVE_EVERY_S)

    def _move_due(self) -> None:
        self._services.delayed.move_due()

    def _restore(self) -> None:
        bookings = self._services.bookings
        restored = bookings.restore_lapsed() if bookings else 0
        if restored:
            log.warning("bookings.restored", messages=restored)

    def _tidy(self) -> None:
        LostLetters(self._services).write_anew()
        changes = self._services.dead_letters.keep_in_step()
        if changes:
            log.warning("dead_letters.brought_in_step", messages=changes)

    def _watch_budget(self) -> None:
        """Warn once when a budget is nearly spent, and end its hold when there is budget again."""
        spend, hold = self._services.spend, self._services.hold
        for spent in (spend.today(), spend.this_month()):
            if spend.warn_once(spent):
                log.warning("budget.nearly_spent", period=spent.period, cost=str(spent.cost), budget=str(spent.budget))
        info = hold.info()
        if info and info.kind is Kind.BUDGET and not spend.is_spent():
            hold.release(by="there is budget again", kind=Kind.BUDGET)

    def _archive_ledger(self) -> None:
        if self._services.settings.archive:  # otherwise it stays in Redis: `doctor` says so
            self._services.ledger.archive_due(datetime.now(UTC))

    def _expire(self) -> None:
        Retention(self._services, self._services.archive, time.time).expire()

    def _reconcile(self) -> None:
        self._services.registry.reconcile(self._services.worker, min(RECONCILE_EVERY_S, self._lease_s) * 0.9)
