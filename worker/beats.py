"""When each process of this worker last beat and how many renewals it missed, in memory that all of them share.

With `-P processes` it is the children that renew the claims, and the parent that answers for the worker. Each process
writes its own place alone: nothing is locked, so a kill leaves nothing locked.
"""

import mmap
import time

from billiard.process import current_process

PLACES = 1024  # one for the parent and one a child
_NUMBER_BYTES = 8
# Made at import, before any child is forked; they inherit it.
_beaten_at = memoryview(mmap.mmap(-1, PLACES * _NUMBER_BYTES)).cast("d")
_missed = memoryview(mmap.mmap(-1, PLACES * _NUMBER_BYTES)).cast("Q")


def beat(missed: int) -> None:
    """This process has beaten just now, and Redis did not take `missed` of its renewals."""
    place = _place()
    _missed[place] += missed
    _beaten_at[place] = time.monotonic()  # one clock for all processes of a machine


def oldest_age_s() -> float:
    """Seconds since the last beat of the process that has not beaten for longest; 0 before the first of all."""
    now = time.monotonic()
    return max((now - beaten_at for beaten_at in _beaten_at if beaten_at), default=0.0)


def missed() -> int:
    """Renewals that Redis did not take, of all processes of this worker since its start."""
    return sum(_missed)


def _place() -> int:
    """0 in the parent; a child that replaces another takes over its place."""
    return int(getattr(current_process(), "index", -1)) + 1
