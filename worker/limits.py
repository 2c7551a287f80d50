"""What the whole fleet may do at once, and what it may spend: the settings that the call scripts are given."""

import json
from dataclasses import dataclass
from decimal import Decimal

from worker.settings import Settings

CALL_MARGIN_S = 5.0  # between the end of a call and the script that notes it


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls a second and under way, over all workers; a budget in calls a day and a month, None for no limit.

    `call_s`: the longest that a call of a living worker may be under way. `utc_offset_s`: when the vendor's day begins.
    """

    rate_per_s: float = 500.0
    max_in_flight: int = 1000
    call_s: float = 35.0
    calls_a_day: int | None = None
    calls_a_month: int | None = None
    utc_offset_s: int = 8 * 3600
    canary_after_s: tuple[float, ...] = (60, 180, 300, 900, 3600)
    hold_after_failures: int = 10

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Those of a worker's settings."""
        return cls(
            rate_per_s=settings.rate_per_s,
            max_in_flight=settings.max_in_flight,
            call_s=settings.total_timeout_s + CALL_MARGIN_S,
            calls_a_day=_calls(settings.budget_day, settings.price_per_call),
            calls_a_month=_calls(settings.budget_month, settings.price_per_call),
            utc_offset_s=round(settings.billing_utc_offset_h * 3600),
            canary_after_s=settings.canary_after_s,
            hold_after_failures=settings.hold_after_failures,
        )

    @property
    def budgets(self) -> str:
        """The two budgets as JSON, for Lua: false where there is none."""
        return json.dumps([self.calls_a_day or False, self.calls_a_month or False])


def _calls(budget: Decimal | None, price: Decimal | None) -> int | None:
    """How many calls a budget pays for."""
    return int(budget / price) if budget is not None and price else None
