"""Waiting for a turn in the fleet: what is too much now stays in the broker, and this thread with its message waits."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from worker.outcomes import TurnError

T = TypeVar("T")


def in_turn(step: Callable[[], T], patience_s: float, sleep: Callable[[float], None] = time.sleep) -> T:
    """What `step` gives once it no longer raises TurnError, which passes after `patience_s` of waiting.

    Each wait is up to twice as long as asked for, or all who wait would come back at one moment; but no longer than
    what is left of the patience.
    """
    waited_s = 0.0
    while True:
        try:
            return step()
        except TurnError as busy:
            if waited_s >= patience_s:
                raise
            wait_s = min(busy.delay_s * random.uniform(1, 2), patience_s - waited_s)  # noqa: S311  no secret
        sleep(wait_s)
        waited_s += wait_s
