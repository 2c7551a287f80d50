"""The whole retry policy, pure: how long until the next try, or None when there is none."""

import random
from collections.abc import Callable
from dataclasses import dataclass

Draw = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential delays with full jitter, capped, within a number of attempts and an age. Times in seconds."""

    max_attempts: int
    base_s: float
    cap_s: float
    max_age_s: float

    def next_delay(
        self, failures: int, age_s: float, *, bounded: bool = True, draw: Draw = random.uniform
    ) -> float | None:
        """Seconds until the next try of a job that has failed `failures` times (1 or more), or None: it is exhausted.

        `age_s` counts from the first failure. `bounded=False` leaves the number of tries open, not the age.
        """
        if age_s >= self.max_age_s or (bounded and failures >= self.max_attempts):
            return None
        return draw(0.0, min(self.cap_s, self.base_s * 2 ** min(failures - 1, 32)))

    def snooze(self, snoozes: int, *, draw: Draw = random.uniform) -> float:
        """Seconds to wait before looking again after `snoozes` looks in vain; never None, a snooze spends nothing."""
        longest = min(self.cap_s, self.base_s * 2 ** min(snoozes, 32))
        return draw(longest / 2, longest)
