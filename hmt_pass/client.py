"""The caller's side of the API: `Client.recognize(...) -> Reply`."""

import json
import math
import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote_plus, urlsplit

import requests

from hmt_pass import signing
from hmt_pass.connection import Exchange, ExchangeAdapter
from hmt_pass.errors import CallError, NotConnectedError, NotSentError, UnansweredError, UnreadableReplyError
from hmt_pass.permit import Flag, Reply
from hmt_pass.signing import TimestampUnit

ENDPOINT_URL = "https://cloudapi.linkface.cn"
PATH = "/v2/ocr/hmt_pass"
# The longest answer of the API has about 1 KB.
MAX_REPLY_BYTES = 1_000_000
MAX_REPLY_DEPTH = 50

_CHUNK_BYTES = 64 * 1024
_FILE_NAMES = {b"\x89P": "image.png", b"BM": "image.bmp"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_BASE64 = re.compile(r"[A-Za-z0-9+/=]*")


class Client:
    """Calls the endpoint, for any number of threads; each thread keeps one connection. Make it after a fork.

    `endpoint_url` is the base that PATH is appended to. `connect_timeout_s` limits connecting, `read_timeout_s` each
    wait for more of the answer (the service itself may take 5 s to fetch a url), `total_timeout_s` all of the exchange.
    Proxies and CA bundle come from the environment (`HTTPS_PROXY`, `NO_PROXY`, `REQUESTS_CA_BUNDLE`), read once, here.
    Raises ValueError when `endpoint_url` is no http(s) URL.
    """

    def __init__(
        self,
        api_id: str,
        api_secret: str,
        endpoint_url: str = ENDPOINT_URL,
        *,
        timestamp_unit: TimestampUnit = TimestampUnit.MILLISECONDS,
        connect_timeout_s: float = 3.05,
        read_timeout_s: float = 15.0,
        total_timeout_s: float = 30.0,
    ) -> None:
        self._api_id = api_id
        self._api_secret = api_secret
        self._url = _full_url(endpoint_url)
        self._timestamp_unit = timestamp_unit
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._total_timeout_s = total_timeout_s
        with requests.Session() as session:
            self._environment = session.merge_environment_settings(self._url, {}, stream=True, verify=None, cert=None)
        self._thread = threading.local()

    def recognize(
        self,
        image: bytes | None = None,
        *,
        url: str | None = None,
        image_base64: str | None = None,
        image_id: str | None = None,
        flag: Flag = Flag.HK_AND_MACAU,
        sequence_id: str | None = None,
        send_until_s: float = math.inf,
    ) -> Reply:
        """The endpoint's answer to one image, whatever its business code. Never tries twice.

        Exactly one source: the bytes of the `image`, a `url` that the service can fetch within 5 s, `image_base64`, or
        the `image_id` of an earlier reply; ValueError otherwise. `sequence_id` finds the call in the service's logs.
        Nothing is sent from `send_until_s` on, a moment of time.monotonic(): a process may sleep in between.

        Raises NotSentError when that moment had come, NotConnectedError when nothing was sent for want of a connection,
        UnansweredError when something was and no complete answer came, UnreadableReplyError when the answer is not the
        API's.
        """
        sources = {"file": image, "url": url, "image_base64": image_base64, "image_id": image_id}
        given: dict[str, Any] = {name: value for name, value in sources.items() if value is not None}
        if len(given) != 1:
            raise ValueError(f"give exactly one of image, url, image_base64 and image_id, not {len(given)}")
        fields = self._signed_fields(flag, sequence_id)
        if image is None:
            return self._post(send_until_s, data=_form({**fields, **given}), headers=_FORM)
        return self._post(send_until_s, data=fields, files={"file": (_FILE_NAMES.get(image[:2], "image.jpg"), image)})

    def _signed_fields(self, flag: Flag, sequence_id: str | None) -> dict[str, str]:
        timestamp = signing.timestamp(self._timestamp_unit)
        fields = {
            "api_id": self._api_id,
            "timestamp": timestamp,
            "sign": signing.sign(self._api_id, self._api_secret, timestamp),
            "hmt_flag": str(int(flag)),
        }
        return fields if sequence_id is None else {**fields, "sequence_id": sequence_id}

    def _post(self, send_until_s: float, **content: Any) -> Reply:  # noqa: ANN401  what requests makes a body of
        exchange = Exchange(
            read_timeout_s=self._read_timeout_s, total_timeout_s=self._total_timeout_s, send_until_s=send_until_s
        )
        timeout_s = (min(self._connect_timeout_s, self._total_timeout_s), self._read_timeout_s)
        try:
            with exchange.current():
                session = self._session()
                request = session.prepare_request(requests.Request("POST", self._url, **content))
                with session.send(request, timeout=timeout_s, **self._environment) as response:
                    status, body, date = response.status_code, _read(response), response.headers.get("Date")
        except OSError as error:  # the base of all that requests and sockets raise
            problem = _problem(error)
        else:
            return self._readable(status, body, date)
        raise self._error(problem, exchange)

    def _readable(self, http_status: int, body: bytes, date: str | None) -> Reply:
        try:
            return replace(_reply(http_status, body), clock_skew_s=_clock_skew_s(date))
        except UnreadableReplyError:
            self._session().close()  # what comes next on this connection may be the answer to this call
            raise

    def _session(self) -> requests.Session:
        if not hasattr(self._thread, "session"):
            self._thread.session = _Session()
        session: requests.Session = self._thread.session
        return session

    def _error(self, problem: str, exchange: Exchange) -> CallError:
        host = urlsplit(self._url).hostname
        if exchange.is_late:
            return NotSentError(f"nothing was sent to {host}: {problem}")
        if exchange.is_sent:
            return UnansweredError(f"{host} got the request and did not answer: {problem}; it may have been charged")
        return NotConnectedError(f"no connection to {host}: {problem}; check the endpoint URL and the network")

    def __repr__(self) -> str:
        return f"Client(api_id={self._api_id!r}, api_secret='***', url={self._url!r})"


class _Session(requests.Session):
    """Looks neither at the environment, which costs 0.4 ms a call, nor at redirects, which lead a photo astray."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.mount("http://", ExchangeAdapter())
        self.mount("https://", ExchangeAdapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere."""


def _full_url(endpoint_url: str) -> str:
    parts = urlsplit(endpoint_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("the endpoint URL must look like https://host, https://host:port or https://host/base")
    return endpoint_url.rstrip("/") + PATH


def _form(fields: Mapping[str, str]) -> str:
    """The fields urlencoded. The library takes 14 ms for a photo of 200 KB in base64, all of them under the GIL."""
    return "&".join(f"{name}={_quoted(value)}" for name, value in fields.items())


def _quoted(value: str) -> str:
    if _BASE64.fullmatch(value):
        return value.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    return quote_plus(value)


def _read(response: requests.Response) -> bytes:
    """The body, or a little more than MAX_REPLY_BYTES of it."""
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            break
    return bytes(body)


def _reply(http_status: int, body: bytes) -> Reply:
    if len(body) > MAX_REPLY_BYTES:
        raise UnreadableReplyError(http_status, f"the answer is over {MAX_REPLY_BYTES} bytes; check the endpoint URL")
    try:
        parsed = json.loads(body, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or not _is_within(parsed, MAX_REPLY_DEPTH):
        raise UnreadableReplyError(http_status, f"{len(body)} bytes that are no JSON object; check the endpoint URL")
    try:
        return Reply.from_wire(parsed)
    except ValueError as error:
        raise UnreadableReplyError(http_status, str(error)) from None


def _finite(text: str) -> float | None:
    """A number that JSON knows: Python reads and writes NaN and Infinity, and other readers of a result refuse them."""
    number = float(text)
    return number if math.isfinite(number) else None


def _is_within(value: object, levels: int) -> bool:
    """Whether a value is nested no deeper: what just could be read may be too deep to be written."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_within(item, levels - 1) for item in inner)


def _clock_skew_s(date: str | None) -> float | None:
    """How far the clock that wrote an HTTP date is ahead of ours; exact to a second or two."""
    try:
        return (parsedate_to_datetime(date or "") - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):  # no date, or one without a zone
        return None


def _problem(error: OSError) -> str:
    """The innermost reason in words; a library's own text is left out, for it may quote a URL or the answer."""
    innermost: BaseException = error
    while innermost.__context__ is not None:
        innermost = innermost.__context__
    is_system_error = isinstance(innermost, OSError) and not isinstance(innermost, requests.RequestException)
    return str(innermost) if is_system_error else type(innermost).__name__
