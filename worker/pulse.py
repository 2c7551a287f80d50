"""When this process last took a message from the broker: what tells a worker that is deaf from one that is idle."""

import time

_last = time.monotonic()


def felt() -> None:
    """A message has come."""
    global _last  # noqa: PLW0603  one number, written by one thread
    _last = time.monotonic()


def age_s() -> float:
    """Seconds since the last message, or since the start."""
    return time.monotonic() - _last
