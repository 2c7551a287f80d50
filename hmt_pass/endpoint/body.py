"""The body of a call, under bounds: one call's size and time, and the memory of all that are held at once.

A refusal here comes before the body's end. The connection sees to it that the caller can read it nevertheless.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from starlette.requests import Request

from hmt_pass.codes import Code
from hmt_pass.endpoint import system
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.limits import Limits
from hmt_pass.endpoint.parameters import MAX_BODY_BYTES

RUSH_BYTES = 32 * 1024 * 1024
"""So much held at once leaves the process large; when all of it is answered, the memory is given back."""


class Bodies:
    """Receives the bodies of all calls."""

    def __init__(self, limits: Limits, overload: Code) -> None:
        self._limits, self._overload = limits, overload
        self.held_bytes = 0
        self._is_rush = False

    @contextmanager
    def room(self) -> Iterator["Room"]:
        """Room for the body of one call; what was received counts as held until the call is answered."""
        room = Room(self, self._limits.body_s)
        try:
            yield room
        finally:
            self._let_go(room.held_bytes)

    def hold(self, more_bytes: int) -> None:
        """Count so many bytes more. Raises RefusedError as `require_room` does."""
        self.require_room(more_bytes)
        self.held_bytes += more_bytes
        self._is_rush |= self.held_bytes > RUSH_BYTES

    def _let_go(self, held_bytes: int) -> None:
        self.held_bytes -= held_bytes
        if self._is_rush and not self.held_bytes:
            self._is_rush = False
            system.give_back_memory()

    def require_room(self, more_bytes: int) -> None:
        """Return when so many bytes more can be held. Raises RefusedError with the code for overload."""
        if self.held_bytes + more_bytes > self._limits.held_bytes:
            raise RefusedError(self._overload, "the endpoint is busy: call again in a few seconds")


class Room:
    """Holds the body of one call."""

    def __init__(self, bodies: Bodies, time_limit_s: float) -> None:
        self._bodies, self._time_limit_s = bodies, time_limit_s
        self.held_bytes = 0

    async def receive(self, request: Request) -> bytes:
        """The body, with the memory counted that it takes. Raises ClientDisconnect when the caller hangs up.

        Raises RefusedError: 1013 for a body larger than any allowed call, at once when its Content-Length says so; the
        code for overload when all bodies together are too large; 1002 for one that is not here in time.
        """
        announced_bytes = _announced_bytes(request)
        self._require_allowed(announced_bytes)
        self._bodies.require_room(announced_bytes)
        try:
            async with asyncio.timeout(self._time_limit_s):
                return b"".join([chunk async for chunk in self._chunks(request)])
        except TimeoutError:
            late = f"the body did not arrive within {self._time_limit_s:g} s; is Content-Length right?"
            raise RefusedError(Code.BAD_REQUEST, late) from None

    async def _chunks(self, request: Request) -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            self._require_allowed(len(chunk))
            self._bodies.hold(len(chunk))
            self.held_bytes += len(chunk)
            yield chunk

    def _require_allowed(self, more_bytes: int) -> None:
        if self.held_bytes + more_bytes > MAX_BODY_BYTES:
            raise RefusedError(Code.IMAGE_TOO_LARGE, image="file")


def _announced_bytes(request: Request) -> int:
    """What Content-Length says, which h11 has seen to be a number; 0 when the body comes in chunks (RFC 9112, 6.3)."""
    is_chunked = "Transfer-Encoding" in request.headers
    return 0 if is_chunked else int(request.headers.get("Content-Length", "0"))
