"""Fetching the image that the parameter `url` names.

What a caller names is not trusted, nor is the server behind it: only http and https; only public addresses unless told
otherwise, checked on the very address that is connected to, at every redirect; everything bounded in time and bytes.
Why an address could not be fetched is not said: the answer would map the network that the endpoint stands in.
"""

import asyncio
import ssl
from collections import defaultdict
from http import HTTPStatus
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import aiohttp
from yarl import URL

from hmt_pass import image
from hmt_pass.codes import Code
from hmt_pass.endpoint.addresses import Resolver, public_socket
from hmt_pass.endpoint.answers import RefusedError

TIME_LIMIT_S = 5.0
"""For the whole download: waiting for its turn, names, redirects and body (API text, section 2)."""

_SCHEMES = {"http", "https"}
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_REDIRECTS = 5
_AT_ONCE = 16
_AT_ONCE_EACH = 4  # of an account: with slow addresses it holds up itself, and three others have to help it
_HEADERS = {
    "Accept-Encoding": "identity",  # a photo gains nothing from compression, and a bomb needs it
    "User-Agent": "hmt-pass-endpoint",
}
_MAX_CHARACTERS = 8192  # more than web servers take; escaping megabytes would hold up everybody else
_WRITTEN_AS_IS = "%!$&'()*+,/:;=?@[]|"  # what a caller has escaped stays so: it may be signed


class _FailedError(Exception):
    """Answered, but not with an image's bytes."""


class Downloads:
    """Fetches images by their address, a bounded number at once, and of each account; the rest wait in their time."""

    def __init__(self, *, private_addresses: bool = False) -> None:
        self._socket_factory = None if private_addresses else public_socket
        self._tls = ssl.create_default_context()
        self._session: aiohttp.ClientSession | None = None
        self._turns: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE_EACH))

    async def close(self) -> None:
        """Drop what is under way; it ends in 1006."""
        if self._session:
            await self._session.close()

    async def fetch(self, url: str, api_id: str) -> bytes:
        """The bytes behind an http or https address that an account named, at most what an image may have.

        Raises RefusedError: 1005 when they are not here in time, 1013 when there are too many, 1006 for all else.
        """
        try:
            async with asyncio.timeout(TIME_LIMIT_S), self._turns[api_id]:
                return await self._follow(url)
        except TimeoutError:
            raise RefusedError(Code.DOWNLOAD_TIMEOUT) from None
        except (_FailedError, aiohttp.ClientError, OSError, ValueError):
            raise RefusedError(Code.DOWNLOAD_FAILED) from None

    async def _follow(self, url: str) -> bytes:
        for _ in range(1 + _MAX_REDIRECTS):
            async with self._opened().get(_parsed(url), allow_redirects=False) as response:
                location = response.headers.get("Location")
                if location is None or response.status not in _REDIRECTS:
                    return await _body(response)
                url = urljoin(url, location)
        raise _FailedError

    def _opened(self) -> aiohttp.ClientSession:
        """The session, made by the first download because it belongs to the running event loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._tls,
                resolver=Resolver(),
                use_dns_cache=False,
                socket_factory=self._socket_factory,
                force_close=True,  # no connection outlives the download that was allowed to make it
                limit=_AT_ONCE,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers=_HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),  # `fetch` limits the whole
                trust_env=False,
            )
        return self._session


def _parsed(url: str) -> URL:
    """The address to ask, escaped only where it has to be. Raises ValueError or _FailedError when it cannot be asked.

    Credentials in it are refused: they would end up in the logs of proxies and of web applications.
    """
    if len(url) > _MAX_CHARACTERS:
        raise _FailedError
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or "@" in parts.netloc:
        raise _FailedError
    site = URL(f"{parts.scheme}://{parts.netloc}").raw_authority
    path, query = quote(parts.path, _WRITTEN_AS_IS) or "/", quote(parts.query, _WRITTEN_AS_IS)
    return URL(urlunsplit((parts.scheme, site, path, query, "")), encoded=True)


async def _body(response: aiohttp.ClientResponse) -> bytes:
    if response.status != HTTPStatus.OK or response.headers.get("Content-Encoding", "identity") != "identity":
        raise _FailedError
    if (response.content_length or 0) > image.MAX_BYTES:
        raise RefusedError(Code.IMAGE_TOO_LARGE, image="url")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > image.MAX_BYTES:
            raise RefusedError(Code.IMAGE_TOO_LARGE, image="url")
    return bytes(body)
