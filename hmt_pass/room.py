"""A bound on what the threads of a process hold at once: whoever needs more waits until another has let go."""

import threading
import time
from dataclasses import dataclass
from typing import Self

from hmt_pass.errors import NoRoomError


class Room:
    """`units` of anything. Served in the order of asking, so that one who needs much is not overtaken for ever."""

    def __init__(self, units: int) -> None:
        self._all = self._free = units
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    def take(self, units: int, patience_s: float) -> "Place":
        """Wait for so many units, at most for `patience_s`; more than there are means all. Give back by `close`.

        Raises NoRoomError when they did not come free in time.
        """
        wanted, deadline = min(units, self._all), time.monotonic() + patience_s
        if not self._turn.acquire(timeout=patience_s):
            raise NoRoomError
        try:
            with self._changed:
                if not self._changed.wait_for(lambda: self._free >= wanted, deadline - time.monotonic()):
                    raise NoRoomError
                self._free -= wanted
        finally:
            self._turn.release()
        return Place(self, wanted)

    def give_back(self, units: int) -> None:
        """Called by a place."""
        with self._changed:
            self._free += units
            self._changed.notify_all()


@dataclass(slots=True)
class Place:
    """What one thread has taken of a room."""

    room: Room
    units: int

    def shrink(self, units: int) -> None:
        """Keep no more than so many."""
        surplus = max(0, self.units - units)
        self.units -= surplus
        self.room.give_back(surplus)

    def close(self) -> None:
        """Keep nothing; closing twice does no harm."""
        self.shrink(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
