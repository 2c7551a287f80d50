"""The HTTP server around the application."""

import asyncio
import os
import socket
import struct
from types import FrameType

import uvicorn

from hmt_pass.endpoint import app, system
from hmt_pass.endpoint.call import Caller
from hmt_pass.endpoint.connections import Connections
from hmt_pass.endpoint.conventions import Conventions
from hmt_pass.endpoint.faults import Faults
from hmt_pass.endpoint.limits import Limits
from hmt_pass.errors import SettingsError

_OTHER_FILES = 128  # what the process has open besides connections
_LAST_READING_S = 1  # before the end nothing new is begun: what has begun shall be answered


class Server(uvicorn.Server):
    """Serves calls until a signal; prints `endpoint ready http://HOST:PORT` once it answers.

    It has its port from the beginning. Raises SettingsError when that cannot be had; then nothing has been started.
    The first signal ends it within `limits.stop_s`, with the calls under way answered; the second one at once.
    """

    def __init__(
        self,
        caller: Caller,
        conventions: Conventions,
        host: str,
        port: int,
        faults: Faults | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._caller, self._faults, self._limits = caller, faults, limits or Limits()
        files = system.open_files(self._limits.connections + _OTHER_FILES)
        connections = Connections(self._limits, files - _OTHER_FILES)
        config = uvicorn.Config(
            app.create(caller, conventions, connections.drop, faults, self._limits),
            host=host,
            port=port,
            http=connections.protocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=self._limits.head_bytes,
            timeout_graceful_shutdown=self._limits.stop_s,
        )
        super().__init__(config)
        self._listeners = _listeners(host, port)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._listeners[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def close(self) -> None:
        """Give the port back; `run` does so at its end."""
        for listener in self._listeners:
            listener.close()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal."""
        super().run(sockets or self._listeners)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer, and then say so."""
        await super().startup(sockets)
        if self.started:
            print(f"endpoint ready {self.url}", flush=True)  # noqa: T201  the line that callers wait for

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End with this signal, or at once when one has come before."""
        if self.should_exit:
            os._exit(128 + sig)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the calls under way; those that still wait for the engine near the end are told to come again."""
        near_end_s = self._limits.stop_s - _LAST_READING_S
        if self._faults:
            self._faults.stop()
        turn_away = asyncio.get_running_loop().call_later(near_end_s, self._caller.engine.close)
        try:
            await super().shutdown(sockets)
        finally:
            turn_away.cancel()


def _listeners(host: str, port: int) -> list[socket.socket]:
    """One for each address that the host has. Raises SettingsError."""
    listeners: list[socket.socket] = []
    try:
        struct.pack("!H", port)  # getaddrinfo would take 70000 for 4464
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, *_, address in found):
            listeners.append(socket.create_server(address, family=family))
    except (OSError, UnicodeError, struct.error) as error:
        for listener in listeners:
            listener.close()
        raise SettingsError(f"cannot listen on {host}, port {port}: {error}; see --host and --port") from None
    return listeners
