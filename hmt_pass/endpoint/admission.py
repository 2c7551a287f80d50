"""The engine's door: as many readings at once as there are cores, and a short queue; the rest is told at once."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
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
        self._reader, self._max_waiting, self._overload = reader, max_waiting, overload
        self._threads = os.cpu_count() or 1
        self._engine = ThreadPoolExecutor(self._threads, "reader")
        self._open = 0

    def close(self) -> None:
        """Let go of the threads; readings that have not begun are dropped."""
        self._engine.shutdown(wait=False, cancel_futures=True)

    def require_room(self) -> None:
        """Return when a call that came now would be read in time. Raises RefusedError with the code for overload."""
        if self._open >= self._threads + self._max_waiting:
            raise RefusedError(self._overload, "the endpoint is busy: call again in a few seconds")

    async def read(self, picture: bytes) -> Reading | None:
        """The engine's reading. Raises RefusedError as `require_room` does."""
        self.require_room()
        self._open += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._engine, self._reader.read, picture)
        finally:
            self._open -= 1
