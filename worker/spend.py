"""What the account has cost: calls and charges of the vendor's day and month, and the budget that they come out of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast

from hmt_pass import keys
from hmt_pass.store import Store
from worker.limits import Limits

WARN_AT = Decimal("0.8")


@dataclass(frozen=True, slots=True)
class Spent:
    """One day or month: calls made, of them charged and possibly charged, and what was spared without a call.

    `cost` and `budget` are money, None when no price or budget is set. A call that is possibly charged counts as
    charged: what may have been paid must not be spent twice.
    """

    period: str
    calls: int
    charged: int
    possibly_charged: int
    copied: int
    rejected: int
    price: Decimal | None
    calls_allowed: int | None
    budget: Decimal | None

    @property
    def cost(self) -> Decimal | None:
        """The charges and the possible ones, in money."""
        return None if self.price is None else self.price * (self.charged + self.possibly_charged)

    @property
    def spared(self) -> Decimal | None:
        """What copies and rejections would have cost."""
        return None if self.price is None else self.price * (self.copied + self.rejected)

    @property
    def share(self) -> Decimal | None:
        """How much of the budget is used, 1 for all of it."""
        if self.calls_allowed is None:
            return None
        return Decimal(self.charged + self.possibly_charged) / max(self.calls_allowed, 1)


class Spend:
    """The books' sums. Every method raises StoreError when Redis does not answer."""

    def __init__(
        self,
        store: Store,
        limits: Limits,
        price: Decimal | None = None,
        budget_day: Decimal | None = None,
        budget_month: Decimal | None = None,
    ) -> None:
        self._store = store
        self._limits = limits
        self._price = price
        self._budget_day = budget_day
        self._budget_month = budget_month

    def today(self) -> Spent:
        """The vendor's day."""
        return self._of(f"{self.local_time():%Y-%m-%d}", self._limits.calls_a_day, self._budget_day)

    def this_month(self) -> Spent:
        """The vendor's month."""
        return self._of(f"{self.local_time():%Y-%m}", self._limits.calls_a_month, self._budget_month)

    def is_spent(self) -> bool:
        """Whether a budget leaves no call."""
        return any(spent.share is not None and spent.share >= 1 for spent in (self.today(), self.this_month()))

    def local_time(self) -> datetime:
        """Redis' time where the vendor's day begins at midnight."""
        seconds, microseconds = self._store.time()
        return datetime.fromtimestamp(seconds, UTC) + timedelta(
            microseconds=microseconds, seconds=self._limits.utc_offset_s
        )

    def warn_once(self, spent: Spent) -> bool:
        """Whether the budget of the period has just been found to be nearly spent; True once a period, fleet-wide."""
        if spent.share is None or spent.share < WARN_AT:
            return False
        return bool(self._store.hsetnx(keys.spend(spent.period), "warned", "1"))

    def month_began_at(self) -> datetime:
        """The moment, in UTC, at which the vendor's month began."""
        begin = self.local_time().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return begin - timedelta(seconds=self._limits.utc_offset_s)

    def periods(self, moment: datetime) -> tuple[str, str]:
        """The vendor's day and month of a moment."""
        local = moment + timedelta(seconds=self._limits.utc_offset_s)
        return f"{local:%Y-%m-%d}", f"{local:%Y-%m}"

    def _of(self, period: str, calls_allowed: int | None, budget: Decimal | None) -> Spent:
        sums = cast("Mapping[str, str]", self._store.hgetall(keys.spend(period)))  # decode_responses makes them str
        return Spent(
            period,
            calls=int(sums.get("calls", 0)),
            charged=int(sums.get("charged", 0)),
            possibly_charged=int(sums.get("possibly_charged", 0)),
            copied=int(sums.get("copied", 0)),
            rejected=int(sums.get("rejected", 0)),
            price=self._price,
            calls_allowed=calls_allowed,
            budget=budget,
        )
