"""Sites that an endpoint fetches pictures from, and what fetching gives.

127.0.0.1 stands for the internet and 127.0.0.2 for the network that the endpoint stands in.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from endpoints import Answer, gives

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.download import Downloads

PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"
PICTURE = b"the bytes of a picture"

BEYOND_THE_LIMIT_S = 3.0
"""A site that does not answer keeps silent for so long; whoever has a time limit has given up long before."""

Serve = Callable[[Answer], str]
Refused = tuple[Code, str, str]
FAILED: Refused = (Code.DOWNLOAD_FAILED, "", "")
LATE: Refused = (Code.DOWNLOAD_TIMEOUT, "", "")
TOO_LARGE: Refused = (Code.IMAGE_TOO_LARGE, "url", "")


class Inside:
    """A site that must not be asked for anything, and whether it was."""

    def __init__(self, serve: Serve) -> None:
        self.asked: list[str] = []
        self.url = serve(self._answer)
        self.port = int(self.url.split(":")[2].split("/")[0])

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        gives(PICTURE)(request)


def fetched(*urls: str, private_addresses: bool = False) -> list[bytes | Refused]:
    """What fetching these addresses at the same time gives: bytes, or the refusal's code, image and reason."""

    async def fetch(downloads: Downloads, url: str) -> bytes | Refused:
        try:
            return await downloads.fetch(url, "an-account")
        except RefusedError as refused:
            return (refused.code, refused.image, refused.reason)

    async def fetch_all() -> list[bytes | Refused]:
        downloads = Downloads(private_addresses=private_addresses)
        try:
            return await asyncio.gather(*(fetch(downloads, url) for url in urls))
        finally:
            await downloads.close()

    return asyncio.run(fetch_all())


def headers(status: int = 200, **values: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in values.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()

    return answer


def then(first: Answer, body: bytes) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        first(request)
        with contextlib.suppress(OSError):  # the caller has gone
            request.wfile.write(body)

    return answer


def without_end(chunk: bytes, pause_s: float = 0.0, first: bytes = b"HTTP/1.1 200 OK\r\n") -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        begun_s = time.monotonic()
        with contextlib.suppress(OSError):  # the caller has gone
            request.wfile.write(first)
            while time.monotonic() < begun_s + BEYOND_THE_LIMIT_S:
                request.wfile.write(chunk)
                time.sleep(pause_s)

    return answer


def silent(_: BaseHTTPRequestHandler) -> None:
    """Takes a request and does not answer it."""
    time.sleep(BEYOND_THE_LIMIT_S)


def redirects(*urls: str) -> Answer:
    """Redirects to one address after the other; the last one again and again."""
    left = itertools.chain(urls, itertools.repeat(urls[-1]))

    def answer(request: BaseHTTPRequestHandler) -> None:
        headers(302, Location=next(left))(request)

    return answer
