"""Calls for the load test: made ready beforehand, sent over a connection each, and what became of them."""

import asyncio
import json
import random
import time
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

from hmt_pass import signing
from hmt_pass.endpoint.app import PATH
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.specimen import Level, draw, encode, invent

API_ID = API_SECRET = "bench"
TIME_LIMIT_S = 30.0
UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call: its business code or UNANSWERED, and how long it took."""

    code: str
    took_s: float


class Calls:
    """Makes signed calls with one of `count` drawn photos each."""

    def __init__(self, url: str, count: int, seed: int) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self._rng = random.Random(seed)
        self._requests = [_request(_photo(self._rng)) for _ in range(count)]

    def next(self) -> bytes:
        """A whole request."""
        return self._rng.choice(self._requests)

    async def make(self) -> Outcome:
        """One call, on a connection of its own."""
        start_s = time.monotonic()
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                code = await self._exchange()
        except (OSError, ValueError, KeyError, asyncio.IncompleteReadError):
            code = UNANSWERED
        return Outcome(code, time.monotonic() - start_s)

    async def _exchange(self) -> str:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(self.next())
            await writer.drain()
            answered = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answered.partition(b"content-length:")[2].split()[0])
            return str(json.loads(await reader.readexactly(length))["code"])
        finally:
            writer.close()


def head(length: int, boundary: str = "b") -> bytes:
    """The head of a call with a body of so many bytes."""
    lines = [
        f"POST {PATH} HTTP/1.1",
        "Host: bench",
        f"Content-Type: multipart/form-data; boundary={boundary}",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _request(photo: bytes) -> bytes:
    boundary, timestamp = uuid.uuid4().hex, signing.timestamp()
    fields = {"api_id": API_ID, "timestamp": timestamp, "sign": signing.sign(API_ID, API_SECRET, timestamp)}
    part = f"--{boundary}\r\nContent-Disposition: form-data; name="
    texts = "".join(f'{part}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    file = f'{part}"file"; filename="a.jpg"\r\n\r\n'
    body = f"{texts}{file}".encode() + photo + f"\r\n--{boundary}--\r\n".encode()
    return head(len(body), boundary) + body


def _photo(rng: random.Random) -> bytes:
    """A permit of the kind that a call without hmt_flag asks for."""
    return encode(draw(invent(rng, [Kind.HK_MACAU]), Level.PHONE, rng), Level.PHONE, rng)
