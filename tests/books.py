"""A scripted endpoint that keeps books: what it was asked, what it answered, and what it charged."""

import email.policy
import hashlib
import json
import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from hmt_pass.codes import Code

CARD = {
    "image_id": "d973ae315e3240a99a2e3ee902ec7a13",
    "address": "云南",
    "birthday": "19900201",
    "cardNum": "C10563465",
    "nameChn": "慕容样张",
    "nameEng": "MURONGYANGZHANG",
    "sex": "女",
    "validDate": "20150116-20250115",
}


@dataclass(frozen=True)
class Line:
    """One request and its answer."""

    sequence_id: str
    image_sha256: str
    code: str
    charged: bool
    at_s: float


@dataclass
class Books:
    """`script` holds the codes of the next answers, 0000 when it is empty; each answer takes `latency_s`.

    More than `allowed_per_s` calls within a second are answered 1009.
    """

    script: deque[str] = field(default_factory=deque)
    allowed_per_s: float = math.inf
    latency_s: float = 0.0
    lines: list[Line] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def charges(self) -> int:
        return sum(line.charged for line in self.lines)

    @property
    def job_ids(self) -> list[str]:
        """Whose calls came, in order."""
        return [line.sequence_id.rpartition("-")[0] for line in self.lines]

    def _next(self) -> Code:
        return Code(self.script.popleft() if self.script else "0000")

    def _is_too_much(self, now_s: float) -> bool:
        return sum(line.at_s > now_s - 1 and line.code != "1009" for line in self.lines) >= self.allowed_per_s

    def answer(self, fields: dict[str, bytes]) -> bytes:
        with self._lock:
            now_s = time.monotonic()
            code = Code.RATE_EXCEEDED if self._is_too_much(now_s) else self._next()
            charged = code is Code.OK
            digest = hashlib.sha256(fields.get("file", b"")).hexdigest()
            self.lines.append(Line(fields["sequence_id"].decode(), digest, code.value, charged, now_s))
            number = len(self.lines)
        time.sleep(self.latency_s)
        body = {
            "code": code.value,
            "msg": code.message,
            "charge": 1 if charged else 2,
            "request_id": f"TID{number:032x}",
        }
        return json.dumps({**body, **({"data": CARD} if charged else {})}, ensure_ascii=False).encode()


@contextmanager
def open_books() -> Iterator[Books]:
    """Serve on a free loopback port until the block ends."""
    books = Books()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            books.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = books.answer(_fields(self.headers["Content-Type"], body))
            try:
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except ConnectionError:  # the caller was killed meanwhile
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        books.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield books
        server.shutdown()
        thread.join()


def _fields(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a multipart body, or the fields of a form, by name."""
    if content_type == "application/x-www-form-urlencoded":
        return {name.decode(): value for name, value in parse_qsl(body)}
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True) or b""
        for part in message.iter_parts()
    }
