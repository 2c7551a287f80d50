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

STRIDE_BYTES = 64 * 1024
"""A body that is so much longer has got further. Single bytes now and then do not make a body fast."""


class Bodies:
    """Receives the bodies of all calls. A whole one is held until it is answered; of the others the slowest yields."""

    def __init__(self, limits: Limits, overload: Code) -> None:
        self._limits, self._overload = limits, overload
        self.held_bytes = 0
        self._coming: dict[Room, None] = {}  # the one that got further longest ago comes first
        self._is_rush = False

    @contextmanager
    def room(self) -> Iterator["Room"]:
        """Room for the body of one call; what was received counts as held until the call is answered."""
        room = Room(self, self._limits.body_s)
        try:
            yield room
        finally:
            self._let_go(room)

    @contextmanager
    def receiving(self, room: "Room", announced_bytes: int) -> Iterator[None]:
        """The time in which the body comes in, and may be cut off to make room for another.

        Raises RefusedError with the code for overload when the whole bodies leave no room for what is announced. To
        announce costs a caller nothing, so it cuts nobody off.
        """
        coming_bytes = sum(other.held_bytes for other in self._coming)
        if self.held_bytes - coming_bytes + announced_bytes > self._limits.held_bytes:
            raise self.overload()
        self._coming[room] = None
        try:
            yield
        finally:
            self._coming.pop(room, None)

    def hold(self, room: "Room", more_bytes: int) -> None:
        """Count so many bytes more, and cut off slower bodies until they fit.

        Raises RefusedError with the code for overload when this body is the slowest itself.
        """
        while self.held_bytes + more_bytes > self._limits.held_bytes:
            slowest = next(iter(self._coming))
            if slowest is room:
                raise self.overload()
            self._cut_off(slowest)
        strides = room.held_bytes // STRIDE_BYTES
        self.held_bytes += more_bytes
        room.held_bytes += more_bytes
        self._is_rush |= self.held_bytes > RUSH_BYTES
        if room.held_bytes // STRIDE_BYTES > strides:
            self._coming[room] = self._coming.pop(room)

    def overload(self) -> RefusedError:
        """The refusal of a body for which there is no room."""
        return RefusedError(self._overload, "the endpoint is busy: call again in a few seconds")

    def _cut_off(self, room: "Room") -> None:
        del self._coming[room]
        room.cut_off()
        self._let_go(room)

    def _let_go(self, room: "Room") -> None:
        self.held_bytes -= room.held_bytes
        room.held_bytes = 0
        if self._is_rush and not self.held_bytes:
            self._is_rush = False
            system.give_back_memory()


class Room:
    """Holds the body of one call."""

    def __init__(self, bodies: Bodies, time_limit_s: float) -> None:
        self._bodies, self._time_limit_s = bodies, time_limit_s
        self._clock = asyncio.timeout(time_limit_s)
        self._is_cut_off = False
        self.held_bytes = 0

    async def receive(self, request: Request) -> bytes:
        """The body, with the memory counted that it takes. Raises ClientDisconnect when the caller hangs up.

        Raises RefusedError: 1013 for a body larger than any allowed call, at once when its Content-Length says so; the
        code for overload when all bodies together are too large and this is the slowest of those that are still coming;
        1002 for one that is not here in time.
        """
        announced_bytes = _announced_bytes(request)
        self._require_allowed(announced_bytes)
        with self._bodies.receiving(self, announced_bytes):
            try:
                async with self._clock:
                    return b"".join([chunk async for chunk in self._chunks(request)])
            except TimeoutError:
                raise self._late() from None

    def cut_off(self) -> None:
        """End `receive`: another body needs the room."""
        self._is_cut_off = True
        self._clock.reschedule(0)

    async def _chunks(self, request: Request) -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            if self._is_cut_off:  # and the clock has not run yet, for this was already on its way
                raise self._late()
            self._require_allowed(len(chunk))
            self._bodies.hold(self, len(chunk))
            yield chunk

    def _require_allowed(self, more_bytes: int) -> None:
        if self.held_bytes + more_bytes > MAX_BODY_BYTES:
            raise RefusedError(Code.IMAGE_TOO_LARGE, image="file")

    def _late(self) -> RefusedError:
        if self._is_cut_off:
            return self._bodies.overload()
        late = f"the body did not arrive within {self._time_limit_s:g} s; is Content-Length right?"
        return RefusedError(Code.BAD_REQUEST, late)


def _announced_bytes(request: Request) -> int:
    """What Content-Length says, which h11 has seen to be a number; 0 when the body comes in chunks (RFC 9112, 6.3)."""
    is_chunked = "Transfer-Encoding" in request.headers
    return 0 if is_chunked else int(request.headers.get("Content-Length", "0"))
