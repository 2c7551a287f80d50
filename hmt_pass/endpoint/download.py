"""Fetching the image that the parameter `url` names."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import requests
import urllib3

from hmt_pass import image
from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError

TIME_LIMIT_S = 5.0
"""For the whole download (API text, section 2)."""

_CHUNK_BYTES = 64 * 1024
_MAX_REDIRECTS = 5
_AT_ONCE = 16


def download(url: str, time_limit_s: float = TIME_LIMIT_S) -> bytes:
    """The bytes behind an http or https address.

    Raises RefusedError: 1005 when they are not here in time, 1013 when there are more than an image may have, 1006 for
    everything else. A server that drips single header bytes can hold the thread longer than the limit, so the caller
    bounds its own wait too.
    """
    deadline_s = time.monotonic() + time_limit_s
    with requests.Session() as session:
        session.trust_env = False
        session.max_redirects = _MAX_REDIRECTS
        try:
            with session.get(url, stream=True, timeout=time_limit_s) as response:
                response.raise_for_status()
                return _body(response, deadline_s)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            slow = isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError)
            late = slow or time.monotonic() >= deadline_s
            code = Code.DOWNLOAD_TIMEOUT if late else Code.DOWNLOAD_FAILED
            raise RefusedError(code) from None


def _body(response: requests.Response, deadline_s: float) -> bytes:
    body = bytearray()
    # read1 gives what is there; iter_content would wait for a whole chunk and let a dripping server miss the deadline.
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > image.MAX_BYTES:
            raise RefusedError(Code.IMAGE_TOO_LARGE, image="url")
        if time.monotonic() >= deadline_s:
            raise RefusedError(Code.DOWNLOAD_TIMEOUT)
    return bytes(body)


class Downloads:
    """Fetches images by their address."""

    def __init__(self, *, private_addresses: bool = False) -> None:
        self._private_addresses = private_addresses
        self._pool = ThreadPoolExecutor(_AT_ONCE, "download")

    async def close(self) -> None:
        """Let go of what is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def fetch(self, url: str) -> bytes:
        """The bytes behind an http or https address. Raises RefusedError 1005, 1006, 1013."""
        fetched = asyncio.get_running_loop().run_in_executor(self._pool, download, url)
        try:
            return await asyncio.wait_for(fetched, TIME_LIMIT_S)
        except TimeoutError:
            raise RefusedError(Code.DOWNLOAD_TIMEOUT) from None
