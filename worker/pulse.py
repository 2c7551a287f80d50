"""When this process last took a message, and whether its pool takes jobs: tells a deaf worker from an idle one."""

import time

_last = time.monotonic()
_refusals = 0


def felt() -> None:
    """A message has come."""
    global _last  # noqa: PLW0603  one number, written by one thread
    _last = time.monotonic()


def age_s() -> float:
    """Seconds since the last message, or since the start."""
    return time.monotonic() - _last


def handed_over() -> None:
    """The pool has taken a job."""
    global _refusals  # noqa: PLW0603  the same
    _refusals = 0


def refused() -> None:
    """The pool has failed to take a job."""
    global _refusals  # noqa: PLW0603  the same
    _refusals += 1


def refusals() -> int:
    """How many jobs in a row the pool has failed to take."""
    return _refusals
