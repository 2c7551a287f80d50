"""The HTTP server around the application."""

import socket

import uvicorn

from hmt_pass.endpoint import app
from hmt_pass.endpoint.call import Caller
from hmt_pass.endpoint.connections import Connections
from hmt_pass.endpoint.conventions import Conventions
from hmt_pass.endpoint.faults import Faults

_STOP_WITHIN_S = 5


class Server(uvicorn.Server):
    """Serves calls until a signal; prints `endpoint ready http://HOST:PORT` once it listens."""

    def __init__(
        self, caller: Caller, conventions: Conventions, host: str, port: int, faults: Faults | None = None
    ) -> None:
        connections = Connections()
        config = uvicorn.Config(
            app.create(caller, conventions, connections.drop, faults),
            host=host,
            port=port,
            http=connections.protocol,
            ws="none",
            log_config=None,
            access_log=False,  # its lines would hold the query string, and with it the sign
            server_header=False,
            timeout_graceful_shutdown=_STOP_WITHIN_S,
        )
        super().__init__(config)

    @property
    def url(self) -> str:
        """Where it listens, once it is started."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and then say so."""
        await super().startup(sockets)
        if self.started:
            print(f"endpoint ready {self.url}", flush=True)  # noqa: T201  the line that callers wait for
