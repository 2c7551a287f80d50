"""/metrics and /healthz over HTTP, in threads beside whatever else the process does."""

import errno
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import make_wsgi_app
from prometheus_client.core import CollectorRegistry

Report = Callable[[], tuple[bool, Mapping[str, object]]]
CALLER_TIMEOUT_S = 10.0  # for a caller that connects and says nothing


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = CALLER_TIMEOUT_S

    def log_message(self, *_: object) -> None:
        """Nothing: every scrape would be a line."""


def app(registry: CollectorRegistry, report: Report) -> WSGIApplication:
    """What answers: /metrics from the registry, /healthz with 200 or 503 and the report as JSON."""
    metrics: WSGIApplication = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start_response)
            case "/healthz":
                is_healthy, document = report()
                status = HTTPStatus.OK if is_healthy else HTTPStatus.SERVICE_UNAVAILABLE
            case _:
                status, document = HTTPStatus.NOT_FOUND, {"paths": ["/metrics", "/healthz"]}
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [json.dumps(document).encode() + b"\n"]

    return answer


def start(app: WSGIApplication, host: str, ports: Sequence[int]) -> int:
    """Serve on the first of the ports that is free, until the process ends; returns it.

    Raises OSError when none is, or when the host is not one of this machine.
    """
    server = _first_free(app, host, ports)
    # A child that is forked later would keep the port when this process is killed, and nobody would answer there.
    os.register_at_fork(after_in_child=server.socket.close)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_port)


def _first_free(app: WSGIApplication, host: str, ports: Sequence[int]) -> WSGIServer:
    for port in ports:
        try:
            return make_server(host, port, app, _Server, _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, "every port is taken")
