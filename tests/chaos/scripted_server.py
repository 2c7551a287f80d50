"""The scripted endpoint's process: `python scripted_server.py PORT`. Standard library only, so that it starts at once.

It answers each call as it was told and keeps books of what it was asked, what it did and what it charged. The charge is
booked when the request is complete, before anything is answered: whoever goes away meanwhile has paid all the same.
"""

import asyncio
import hashlib
import json
import random
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

Behaviour = dict[str, Any]

PLAIN: Behaviour = {"do": "answer", "code": "0000"}
# What each way of failing has cost the caller, unless the behaviour says otherwise.
CHARGED = {"late", "trickle", "half", "drop_charged"}
CARD = {
    "address": "云南",
    "birthday": "19900201",
    "nameChn": "慕容样张",
    "nameEng": "MURONGYANGZHANG",
    "sex": "女",
    "validDate": "20150116-20250115",
}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BOUNDARY = re.compile(rb"boundary=\"?([^\"\r\n;]+)")


def card_number(sha256: str) -> str:
    """The number on the permit of this image: a reading that is handed to the wrong job shows."""
    return f"C{int(sha256[:12], 16) % 10**8:08d}"


class Books:
    """What was told and what happened."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.dropped_unread = 0
        self.plain: Behaviour = PLAIN
        self.script: deque[Behaviour] = deque()
        self.by_job: dict[str, deque[Behaviour]] = {}
        self.mix: list[tuple[Behaviour, float]] = []
        self.random = random.Random()

    def told(self, order: dict[str, Any]) -> None:
        """Take orders: `plain`, `script`, `by_job`, `mix` with `seed`; a name that is missing stays as it is."""
        self.plain = order.get("plain", self.plain)
        self.script.extend(order.get("script", ()))
        for job_id, script in order.get("by_job", {}).items():
            self.by_job.setdefault(job_id, deque()).extend(script)
        if "mix" in order:
            self.mix = [(behaviour, share) for behaviour, share in order["mix"]]
            self.random = random.Random(order.get("seed"))

    def draw(self) -> Behaviour:
        """How the call whose first bytes have come is treated, unless its job has a script of its own."""
        if self.script:
            return self.script.popleft()
        point = self.random.random() if self.mix else 1.0
        for behaviour, share in self.mix:
            point -= share
            if point < 0:
                return behaviour
        return self.plain

    def book(self, body: bytes, boundary: bytes, drawn: Behaviour) -> tuple[Behaviour, dict[str, Any]]:
        """Write the call down; returns how to treat it and its line."""
        sequence_id, image = _parts(body, boundary)
        own = self.by_job.get(sequence_id.rpartition("-")[0])
        behaviour = own.popleft() if own else drawn
        did = behaviour["do"]
        code = behaviour.get("code", "0000")
        line = {
            "sequence_id": sequence_id,
            "sha256": hashlib.sha256(image).hexdigest(),
            "did": did,
            "code": code,
            "charged": behaviour.get("charged", did in CHARGED or (did == "answer" and code == "0000")),
            "at_s": time.time(),
            "request_id": f"TID{len(self.calls) + 1:032x}",
        }
        self.calls.append(line)
        return behaviour, line


def _parts(body: bytes, boundary: bytes) -> tuple[str, bytes]:
    """`sequence_id` and `file` of a multipart body."""
    found: dict[bytes, bytes] = {}
    for part in body.split(b"--" + boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        for name in (b"sequence_id", b"file"):
            if b'name="' + name + b'"' in head:
                found[name] = content[:-2]  # the line's end belongs to the boundary
    return found.get(b"sequence_id", b"").decode(), found.get(b"file", b"")


def _answer(line: dict[str, Any]) -> bytes:
    body = {
        "code": line["code"],
        "msg": "",
        "charge": 1 if line["charged"] else 2,
        "request_id": line["request_id"],
    }
    if line["code"] == "0000":
        body["data"] = {**CARD, "cardNum": card_number(line["sha256"]), "image_id": line["sha256"][:32]}
    return json.dumps(body, ensure_ascii=False).encode()


def _http(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One caller's connection; it never has two requests under way."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.buffer = bytearray()
        self.drawn: Behaviour | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        is_call = self.buffer.startswith(b"POST /v2/")
        if is_call and self.drawn is None:
            self.drawn = self.books.draw()
            if self.drawn["do"] == "drop_unread":
                self.books.dropped_unread += 1
                self.transport.abort()
                return
        request = self._complete()
        if request and is_call:
            self._call(*request)
        elif request:
            self._order(*request)

    def _complete(self) -> tuple[bytes, bytes] | None:
        """Head and body once they are here."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = _LENGTH.search(self.buffer, 0, end + 2)
        start = end + 4
        stop = start + (int(length[1]) if length else 0)
        if len(self.buffer) < stop:
            return None
        head, body = bytes(self.buffer[:end]), bytes(self.buffer[start:stop])
        del self.buffer[:stop]
        return head, body

    def _call(self, head: bytes, body: bytes) -> None:
        boundary = _BOUNDARY.search(head)
        drawn, self.drawn = self.drawn or PLAIN, None
        behaviour, line = self.books.book(body, boundary[1] if boundary else b"-", drawn)
        act: Callable[..., None] = getattr(self, f"_{behaviour['do']}")
        asyncio.get_running_loop().call_later(behaviour.get("delay_s", 0.0), act, line)

    def _answer(self, line: dict[str, Any]) -> None:
        self.transport.write(_http(_answer(line)))

    _late = _answer

    def _hang(self, _line: dict[str, Any]) -> None:
        """Say nothing until the caller gives up."""

    def _drop_charged(self, _line: dict[str, Any]) -> None:
        self.transport.abort()

    def _garbage(self, line: dict[str, Any]) -> None:
        self.transport.write(_http(hashlib.sha256(line["sequence_id"].encode()).digest()))

    def _not_http(self, _line: dict[str, Any]) -> None:
        self.transport.write(b"\x00\x01\x02 this is no HTTP at all\r\n\r\n")
        self.transport.close()

    def _html_502(self, _line: dict[str, Any]) -> None:
        self.transport.write(_http(b"<html><h1>502 Bad Gateway</h1></html>", "502 Bad Gateway", "text/html"))

    def _half(self, line: dict[str, Any]) -> None:
        whole = _http(_answer(line))
        self.transport.write(whole[: len(whole) - 100])
        self.transport.close()

    def _trickle(self, line: dict[str, Any]) -> None:
        self._drip(_http(_answer(line)))

    def _drip(self, rest: bytes) -> None:
        """A byte every 50 ms: no single read takes long, the whole takes for ever."""
        if rest and not self.transport.is_closing():
            self.transport.write(rest[:1])
            asyncio.get_running_loop().call_later(0.05, self._drip, rest[1:])

    def _order(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST /_reset"):
            self.books.reset()
        elif head.startswith(b"POST /_tell"):
            self.books.told(json.loads(body))
        shown = {"calls": self.books.calls, "dropped_unread": self.books.dropped_unread}
        is_asked = head.startswith(b"GET /_books")
        self.transport.write(_http(json.dumps(shown if is_asked else {}).encode()))


async def serve(port: int) -> None:
    books = Books()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(books), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
