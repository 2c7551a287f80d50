"""HTTP connections that know whether a request left, and that end in time.

Two questions decide about money, and neither requests nor urllib3 answers them. Was any byte of the request sent? If
not, the call was surely not charged and may be made again. Is the exchange over in time? Their read timeout starts anew
with each received byte, so a server that drips its headers holds a thread for ever, and their write timeout is the
connect timeout, which a slow uplink cannot keep with 5 MB. So send and receive are done here, each step within what is
left of the total; a timer thread per call would cost more and could only shut the socket down from outside.
"""

import io
import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from http.client import HTTPResponse, parse_headers
from typing import Any

from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidProxyURL
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# A server closes what has been idle for a while, many after 5 s. A call that it meets on its way is never answered, and
# nobody can tell whether it was charged: what is about to be closed is not used again.
MAX_IDLE_S = 4.0
# Python's TLS `send` of more than one record fails without saying how much went out. So the first step is one record.
_TLS_RECORD_BYTES = 16 * 1024


class Exchange:
    """One request and its answer: whether a byte of it `is_sent`, and how long each step may still take.

    Not a byte is sent from `send_until_s` on, a moment of time.monotonic(); then `is_late` tells why.
    """

    def __init__(self, *, read_timeout_s: float, total_timeout_s: float, send_until_s: float = math.inf) -> None:
        self.is_sent = self.is_late = False
        self._read_timeout_s = read_timeout_s
        self._ends_at_s = time.monotonic() + total_timeout_s
        self._send_until_s = send_until_s

    def remaining_s(self) -> float:
        """Seconds left of the total; raises TimeoutError when none are, or when it is too late to begin."""
        now_s = time.monotonic()
        if now_s >= self._send_until_s and not self.is_sent:
            self.is_late = True
            raise TimeoutError("the moment until which it might be sent has passed")
        if now_s >= self._ends_at_s:
            raise TimeoutError("the total time limit has passed")
        return self._ends_at_s - now_s

    def read_timeout_s(self) -> float:
        """Seconds that the next read may take; raises TimeoutError when the total has passed."""
        return min(self._read_timeout_s, self.remaining_s())

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes this the exchange of the connections that the calling thread uses meanwhile."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Exchange] = ContextVar("exchange")


class _TimedReader(io.RawIOBase):
    """What a socket receives, each read within the exchange's limits."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._exchange = _current.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401  a writable buffer; Python 3.11 has no name for it
        self._sock.settimeout(self._exchange.read_timeout_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  passed through
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the answer. http.client takes 103 for one, and the answer itself for the next call's."""
        while True:
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # of http.client
            if not HTTPStatus.CONTINUE < line[1] < HTTPStatus.OK or line[1] == HTTPStatus.SWITCHING_PROTOCOLS:
                return line
            parse_headers(self.fp)


class _Connection(HTTPConnection):
    """Connects first, then marks the exchange at the first byte of the request that the socket takes."""

    response_class = _Response
    _is_connecting = False
    _answered_at_s = math.inf

    @property
    def is_connected(self) -> bool:
        """Whether it may be used once more; asked before each request on a kept connection."""
        return super().is_connected and time.monotonic() - self._answered_at_s < MAX_IDLE_S

    def getresponse(self) -> Any:  # noqa: ANN401  urllib3's response
        """The answer, once its head is there."""
        answer = super().getresponse()
        self._answered_at_s = time.monotonic()
        return answer

    def connect(self) -> None:
        """Connect, through a proxy's tunnel if there is one; what that sends is not the request."""
        self._is_connecting, self._answered_at_s = True, math.inf
        try:
            super().connect()
        finally:
            self._is_connecting = False

    def send(self, data: Any) -> None:  # noqa: ANN401  http.client's type; urllib3 passes bytes
        """Send all of `data` within the total limit."""
        if self.sock is None:
            self.connect()
        exchange, left = _current.get(), memoryview(data)
        while left:
            self.sock.settimeout(exchange.remaining_s())
            sent_bytes = self.sock.send(left if exchange.is_sent else left[:_TLS_RECORD_BYTES])
            exchange.is_sent = exchange.is_sent or not self._is_connecting
            left = left[sent_bytes:]


class _SecureConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class ExchangeAdapter(HTTPAdapter):
    """One kept connection whose every request belongs to the current `Exchange`. Never retries."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  passed through
        """Have the pools make our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401  passed through
        """Have a proxy's pools make our connections; a SOCKS proxy brings its own and would lose the mark."""
        if not proxy.lower().startswith(("http://", "https://")):
            raise InvalidProxyURL("only http:// and https:// proxies are supported")
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager
