"""The connections of a server, each under time limits of its own.

uvicorn has one for a connection that is idle after an answer. It has none for one that never asks, that drips its
headers, or that does not take its answer; it closes a connection whose caller still sends, so that the caller reads a
reset in the place of the answer; and it reads a body in chunks of one byte. This is done here, and so is the fault
`drop`.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import h11
from starlette.requests import ClientDisconnect, Request
from uvicorn._types import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.framing import PIECE_BYTES, Framing
from hmt_pass.endpoint.limits import Limits

_CLOSE = (b"connection", b"close")
_CONNECTION = "connection"  # key in the state of a request

_Result = TypeVar("_Result")


class Connections:
    """The open connections of a server. `protocol` is what uvicorn makes one of for each."""

    def __init__(self, limits: Limits, max_open: int) -> None:
        self.limits, self._max_open = limits, max_open
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # for their callers, in the order in which they began to
        self.protocol: type[asyncio.Protocol] = type("Protocol", (Connection,), {"book": self})

    def enter(self, connection: "Connection") -> None:
        """Take in a new connection; of too many the one that has waited longest for its caller is closed."""
        self._open.add(connection)
        self._waiting[connection] = None
        if len(self._open) > self._max_open:
            next(iter(self._waiting)).abort()

    def leave(self, connection: "Connection") -> None:
        """Forget a connection that is closed."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def note(self, connection: "Connection", *, is_waiting: bool) -> None:
        """A connection waits anew for its caller, to ask, to send or to take; or the next step is the server's."""
        self._waiting.pop(connection, None)
        if is_waiting and connection in self._open:
            self._waiting[connection] = None

    @staticmethod
    def drop(request: Request) -> None:
        """Close the request's connection at once, without an answer."""
        connection: Connection = request.scope["state"][_CONNECTION]
        connection.abort()


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 with a clock that runs whenever the next step is the caller's."""

    book: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the clock for the first request."""
        super().connection_made(transport)
        self._limits = self.book.limits
        self._raw, self.transport = transport, _Transport(transport, self)
        self._clock: asyncio.TimerHandle | None = None
        self._is_idle = self._is_closing = self._is_refused = False
        self._framing = Framing()
        self._thrown_away_bytes = 0
        self.app = self._serve
        self.access_log = (
            False  # whoever attaches a handler later would be given the query string, and with it the sign
        )
        self.book.enter(self)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        super().connection_lost(exc)
        self._set_clock(None)
        self.book.leave(self)

    def data_received(self, data: bytes) -> None:
        """Hand on what came, or throw it away when its request is answered."""
        for start in range(0, len(data), PIECE_BYTES):
            if self._is_closing or self._is_refused:
                self._throw_away(len(data) - start)
                return
            self._hand_on(data[start : start + PIECE_BYTES])
        self._watch()

    def on_response_complete(self) -> None:
        """Start the clock for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Start the clock: the caller does not take what was sent."""
        super().pause_writing()
        self._watch()
        self._set_clock(self._limits.stall_s)

    def resume_writing(self) -> None:
        """Stop it again."""
        super().resume_writing()
        if not self._is_closing:
            self._set_clock(None)
            self._watch()

    def shutdown(self) -> None:
        """The server stops: finish the request under way, and wait for nothing else."""
        if self._is_closing:
            self.abort()
        else:
            super().shutdown()

    def abort(self) -> None:
        """Close at once; nothing more is sent."""
        self.book.leave(self)
        self._raw.abort()

    def close(self) -> None:
        """Close once the answer is sent. A caller that still sends is heard out first, or it would read a reset."""
        if self._is_closing:
            return
        self._is_closing = True
        self._watch()
        if self.conn.their_state in {h11.SEND_BODY, h11.ERROR}:
            self._set_clock(self._limits.linger_s)
            self._raw.write_eof()
            self._raw.resume_reading()
        else:
            self._set_clock(self._limits.stall_s)
            self._raw.close()

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be answered here."""
        return self._is_closing or self._raw.is_closing()

    async def _serve(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """The application; an answer that does not wait for the body's end says that the connection ends with it."""
        names = {name for name, _ in self.headers}
        is_ambiguous = {b"content-length", b"transfer-encoding"} <= names  # must be closed (RFC 9112, section 6.3)

        async def send_early(event: ASGISendEvent) -> None:
            early = is_ambiguous or self.conn.their_state is h11.SEND_BODY
            if event["type"] == "http.response.start" and early:
                event["headers"] = [*event.get("headers", ()), _CLOSE]
            await send(event)

        async def receive_sane() -> ASGIReceiveEvent:
            event = await receive()
            if self._is_refused:
                raise RefusedError(Code.BAD_REQUEST, "the chunks of the body are too small: send larger ones")
            return event

        scope["state"][_CONNECTION] = self
        await self.config.loaded_app(scope, receive_sane, send_early)

    def _hand_on(self, piece: bytes) -> None:
        cycle, before_bytes = self.cycle, len(self.cycle.body) if self.cycle else 0
        super().data_received(piece)
        if self.cycle is not cycle:
            self._framing = Framing()
        elif self.conn.their_state is h11.SEND_BODY:
            self._framing.count(len(piece), len(cycle.body) - before_bytes)
            if self._framing.is_excessive:
                self._is_refused = True
                cycle.message_event.set()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: uvicorn would tell the operator to install WebSockets, which nothing here speaks."""

    def _throw_away(self, count_bytes: int) -> None:
        self._thrown_away_bytes += count_bytes
        if self._thrown_away_bytes > self._limits.linger_bytes:
            self.abort()

    def _watch(self) -> None:
        was_idle, self._is_idle = self._is_idle, self.conn.our_state is h11.IDLE and not self.is_closing
        if self._is_idle != was_idle:
            self._set_clock(self._limits.head_s if self._is_idle else None)
        if not (was_idle and self._is_idle):  # a head that drips gets no younger
            sends = self.conn.their_state is h11.SEND_BODY
            self.book.note(self, is_waiting=self._is_idle or sends or self._is_closing or self.flow.write_paused)

    def _set_clock(self, limit_s: float | None) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._clock = None if limit_s is None else self.loop.call_later(limit_s, self.abort)


class _Transport(asyncio.Transport):
    """What uvicorn sees of the connection: its way out, and a `close` that hears the caller out."""

    def __init__(self, raw: asyncio.Transport, connection: Connection) -> None:
        super().__init__()
        self._raw, self._connection = raw, connection

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._raw.write(data)

    def is_closing(self) -> bool:
        return self._connection.is_closing

    def close(self) -> None:
        self._connection.close()


async def while_connected(request: Request, work: Coroutine[Any, Any, _Result]) -> _Result:
    """What `work` returns. When the caller hangs up first, `work` is cancelled and ClientDisconnect raised.

    For a request whose body has been received. A caller that ends only its sending side counts as gone, for the two
    look the same from here.
    """
    try:
        async with asyncio.timeout(None) as connected:
            watch = asyncio.create_task(_expire_with(request, connected))
            try:
                return await work
            finally:
                watch.cancel()
    except TimeoutError:
        if connected.expired():
            raise ClientDisconnect from None
        raise


async def _expire_with(request: Request, connected: asyncio.Timeout) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    connected.reschedule(0)
