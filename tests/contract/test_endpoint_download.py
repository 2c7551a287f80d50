"""Images by their address: what is fetched, and what is refused."""

import contextlib
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

import pytest
import requests
from endpoints import PERMIT, Endpoint, gives, refusal, running, said, website

from hmt_pass.codes import Code
from hmt_pass.endpoint import call
from hmt_pass.endpoint.download import download
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading


@pytest.fixture(scope="module")
def served() -> Iterator[Endpoint]:
    with running(faults=True) as started:
        yield started


@pytest.fixture
def endpoint(served: Endpoint) -> Endpoint:
    """The running endpoint without faults, with counters at zero and an engine that has seen nothing."""
    requests.delete(served.url + "/_faults", timeout=5)
    served.engine.found, served.engine.seen = Reading(Kind.HK_MACAU, PERMIT), []
    served.faults.calls = served.faults.charged = 0
    return served


@pytest.fixture
def web() -> Iterator[Callable[..., str]]:
    with website() as serve:
        yield serve


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: request.send_error(404),
        lambda request: request.connection.close(),
    ],
)
def test_an_address_that_gives_no_image_is_1006(
    endpoint: Endpoint, web: Callable[..., str], answer: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    assert said(endpoint.post(url=web(answer))) == refusal(Code.DOWNLOAD_FAILED)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "file:///etc/passwd", "not an address", "http://127.0.0.1:1/"])
def test_an_address_that_cannot_be_fetched_is_1006(endpoint: Endpoint, url: str) -> None:
    assert said(endpoint.post(url=url)) == refusal(Code.DOWNLOAD_FAILED)


def test_a_picture_at_an_address_may_not_be_too_large(endpoint: Endpoint, web: Callable[..., str]) -> None:
    url = web(gives(bytes(6 * 1024 * 1024)))
    assert said(endpoint.post(url=url)) == refusal(Code.IMAGE_TOO_LARGE, "url")


def drip(request: BaseHTTPRequestHandler) -> None:
    gives(b"")(request)
    with contextlib.suppress(OSError):  # the caller has gone
        for _ in range(40):
            request.wfile.write(b"a")
            time.sleep(0.05)


def test_a_download_that_drips_is_1005_when_its_time_is_over(web: Callable[..., str]) -> None:
    begun_s = time.monotonic()
    with pytest.raises(call.RefusedError) as caught:
        download(web(drip), time_limit_s=0.2)
    assert (caught.value.code, time.monotonic() - begun_s < 1) == (Code.DOWNLOAD_TIMEOUT, True)


def test_a_server_that_never_answers_is_1005(
    endpoint: Endpoint, web: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hmt_pass.endpoint.download.TIME_LIMIT_S", 0.2)
    assert said(endpoint.post(url=web(lambda _: time.sleep(1)))) == refusal(Code.DOWNLOAD_TIMEOUT)
