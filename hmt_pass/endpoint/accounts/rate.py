"""Calls a second."""

from collections.abc import Callable


class Rate:
    """A bucket of calls: full at the start, holds one second's worth and at least one, and fills evenly."""

    def __init__(self, per_s: float, now_s: Callable[[], float]) -> None:
        self._per_s, self._now_s = per_s, now_s
        self._size = self._left = max(1.0, per_s)
        self._filled_s = now_s()

    def take(self) -> bool:
        """Whether there was a call left to take; a refused one costs nothing."""
        now_s = self._now_s()
        passed_s = max(0.0, now_s - self._filled_s)  # a clock that was set back takes nothing away
        self._left, self._filled_s = min(self._size, self._left + passed_s * self._per_s), now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
