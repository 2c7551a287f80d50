"""HTTP by hand: requests that no library would send, and answers as they come."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from endpoints import API_ID, API_SECRET, photo

from hmt_pass import signing
from hmt_pass.endpoint.app import PATH


@dataclass
class Heard:
    """One answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def code(self) -> str:
        code: str = json.loads(self.body)["code"]
        return code

    @property
    def ends_the_connection(self) -> bool:
        return self.headers.get("connection") == "close"


class Wire:
    """One connection."""

    def __init__(self, sock: socket.socket, received: BinaryIO) -> None:
        self.sock, self._received = sock, received

    def send(self, *parts: bytes | str) -> None:
        self.sock.sendall(b"".join(part.encode() if isinstance(part, str) else part for part in parts))

    def answer(self) -> Heard:
        """The next answer. Raises ConnectionError when the connection ends first."""
        first = self._received.readline()
        if not first:
            raise ConnectionError("no answer")
        headers = {}
        while line := self._received.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        status = int(first.split()[1])
        to_the_end, none = -1, 0
        length = int(headers.get("content-length", to_the_end)) if status >= 200 else none
        return Heard(status, headers, self._received.read(length))

    def is_cut_off(self, sending: bytes | str, within_s: float = 10.0) -> bool:
        """Whether the other side closes before the time is up, while this is sent again and again."""
        deadline_s = time.monotonic() + within_s
        try:
            while time.monotonic() < deadline_s:
                self.send(sending)
        except ConnectionError:
            return True
        return False

    def ends(self) -> bool:
        """Whether the other side ends the connection and says nothing more; waits for it."""
        try:
            return not self._received.read(1)
        except ConnectionError:
            return True


@contextmanager
def wire(url: str) -> Iterator[Wire]:
    """A connection that is closed at the end, with 10 s for each step."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock, sock.makefile("rb") as received:
        yield Wire(sock, received)


def head(*headers: str, path: str = PATH, version: str = "1.1") -> str:
    """The head of a POST."""
    return "\r\n".join([f"POST {path} HTTP/{version}", "Host: a", *headers, "", ""])


def form(image: bytes | None = None, **changes: str) -> tuple[str, bytes]:
    """The Content-Type header and the body of a signed call."""
    timestamp = signing.timestamp()
    sign = signing.sign(API_ID, API_SECRET, timestamp)
    fields: dict[str, Any] = {"api_id": API_ID, "timestamp": timestamp, "sign": sign} | changes
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    body = "".join(parts).encode() + file + (photo() if image is None else image) + b"\r\n--b--\r\n"
    return "Content-Type: multipart/form-data; boundary=b", body
