"""The engine's door: as many readings at once as there are cores, and a short queue; the rest is told at once."""

import asyncio
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.engine.reading import Reading


class ReadsPermits(Protocol):
    """The engine, as the protocol knows it."""

    def read(self, picture: bytes) -> Reading | None:
        """The permit in a JPEG, PNG or BMP; None when there is none."""


class Admission:
    """Runs the engine in threads, so that the event loop is never blocked, and bounds how many calls wait for it."""

    def __init__(self, reader: ReadsPermits, max_waiting: int, overload: Code = Code.RATE_EXCEEDED) -> None:
        self._reader, self._overload = reader, overload
        threads = os.cpu_count() or 1
        self._engine = ThreadPoolExecutor(threads, "reader")
        self._max_readings = threads + max_waiting
        self._readings: set[Future[Reading | None]] = set()
        self._is_closed = False

    def close(self) -> None:
        """Finish the readings that have begun; those that wait, and all that come, are refused as under overload."""
        self._is_closed = True
        self._engine.shutdown(wait=False, cancel_futures=True)

    def require_room(self) -> None:
        """Return when a call that came now would be read in time. Raises RefusedError with the code for overload."""
        if self._is_closed:
            raise RefusedError(self._overload, "the endpoint is stopping: call again in a few seconds")
        if len(self._readings) >= self._max_readings:
            raise RefusedError(self._overload, "the endpoint is busy: call again in a few seconds")

    async def read(self, picture: bytes) -> Reading | None:
        """The engine's reading. Raises RefusedError as `require_room` does, and what the engine raises.

        A reading that is cancelled while it waits never begins and leaves its place at once; one that has begun keeps
        its place to the end, for it keeps its core.
        """
        self.require_room()
        reading = self._engine.submit(self._reader.read, picture)
        self._readings.add(reading)
        reading.add_done_callback(self._readings.discard)
        try:
            return await asyncio.wrap_future(reading)
        except asyncio.CancelledError:
            if self._is_closed and reading.cancelled() and not _is_cancelled():
                self.require_room()
            raise


def _is_cancelled() -> bool:
    """Whether it is the caller's task that was cancelled, not the reading that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
