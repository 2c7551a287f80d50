"""A running endpoint with an engine that only counts, for tests over real HTTP."""

import io
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from PIL import Image

from hmt_pass import signing
from hmt_pass.codes import Code
from hmt_pass.endpoint.accounts import Account, Accounts
from hmt_pass.endpoint.admission import Admission
from hmt_pass.endpoint.app import PATH
from hmt_pass.endpoint.call import Caller
from hmt_pass.endpoint.conventions import Conventions
from hmt_pass.endpoint.download import Downloads
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.endpoint.faults import Faults
from hmt_pass.endpoint.images import ImageStore
from hmt_pass.endpoint.limits import Limits
from hmt_pass.endpoint.server import Server
from hmt_pass.permit import Permit

Answer = Callable[[BaseHTTPRequestHandler], None]
PATIENCE_S = 20.0  # for what must happen, on a busy machine too
API_ID, API_SECRET = "an-account", "a-secret-of-the-account"
PERMIT = Permit("C00000001", "样本", "YANGBEN", "19900201", "女", "20190118-20290117", "山东")


def photo(width_px: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width_px, 48), "white").save(out, "JPEG")
    return out.getvalue()


class Engine:
    """Finds what it is told to find."""

    def __init__(self) -> None:
        self.found: Reading | Exception | None = Reading(Kind.HK_MACAU, PERMIT)
        self.seen: list[bytes] = []

    def read(self, picture: bytes) -> Reading | None:
        self.seen.append(picture)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Endpoint:
    """A running endpoint and how to call it."""

    def __init__(self, url: str, engine: Engine, faults: Faults) -> None:
        self.url, self.engine, self.faults = url, engine, faults

    def request(
        self,
        *,
        path: str = PATH,
        files: dict[str, tuple[str, bytes]] | None = None,
        query: bool = False,
        api_id: str = API_ID,
        api_secret: str = API_SECRET,
        **changes: str,
    ) -> requests.Response:
        """A signed call; `changes` replace or add parameters."""
        timestamp = signing.timestamp()
        parameters = {
            "api_id": api_id,
            "sequence_id": "sequence-1",
            "timestamp": timestamp,
            "sign": signing.sign(api_id, api_secret, timestamp),
        } | changes
        where = {"params": parameters} if query else {"data": parameters}
        return requests.post(self.url + path, files=files, timeout=PATIENCE_S, **where)

    def post(self, **call: Any) -> dict[str, Any]:  # noqa: ANN401  whatever `request` takes
        """`request`, answered with HTTP 200: the body."""
        response = self.request(**call)
        assert response.status_code == 200
        body: dict[str, Any] = response.json()
        return body

    def send(self, image: bytes | None = None, **changes: str) -> dict[str, Any]:
        """`post` with an image as `file`."""
        return self.post(files={"file": ("a.jpg", photo() if image is None else image)}, **changes)

    def fault(self, **wanted: object) -> dict[str, Any]:
        """Set a fault, as an operator does."""
        return self._switch("POST", json=wanted)

    def shown_faults(self) -> dict[str, Any]:
        """What is set, and the counters."""
        return self._switch("GET")

    def clear_faults(self) -> dict[str, Any]:
        """Set no fault."""
        return self._switch("DELETE")

    def _switch(self, method: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
        response = requests.request(method, self.url + "/_faults", timeout=PATIENCE_S, **body)
        response.raise_for_status()
        shown: dict[str, Any] = response.json()
        return shown


@contextmanager
def running(
    *,
    faults: bool = False,
    conventions: Conventions | None = None,
    accounts: Accounts | None = None,
    engine: Engine | None = None,
    private_addresses: bool = True,
    max_waiting: int = 64,
    images: ImageStore | None = None,
    limits: Limits | None = None,
) -> Iterator[Endpoint]:
    """An endpoint in a thread of its own, stopped at the end."""
    switch, reader, chosen = Faults(), engine or Engine(), conventions or Conventions()
    caller = Caller(
        accounts or Accounts(Account(API_ID, API_SECRET)),
        Admission(reader, max_waiting, chosen.overload),
        images or ImageStore(),
        Downloads(private_addresses=private_addresses),
        chosen,
    )
    server = Server(caller, chosen, "127.0.0.1", 0, switch if faults else None, limits)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Endpoint(server.url, reader, switch)
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def website(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Callable[[Answer], str]]:
    """Starts web servers that answer GET as they are told; what it yields returns an address."""
    servers: list[ThreadingHTTPServer] = []

    def serve(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer((host, 0), Handler)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http{'s' if tls else ''}://{host}:{server.server_port}/photo"

    try:
        yield serve
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def gives(body: bytes) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(body)

    return answer


def said(body: dict[str, Any]) -> tuple[str, str, int, str]:
    return body["code"], body["msg"], body["charge"], body.get("image", "")


def refusal(code: Code, image: str = "") -> tuple[str, str, int, str]:
    return code.value, code.message, 2, image
