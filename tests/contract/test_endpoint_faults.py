"""The fault switch over real HTTP."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import requests
from endpoints import PERMIT, Endpoint, running, website

from hmt_pass import codes
from hmt_pass.codes import Code
from hmt_pass.endpoint.app import PATH
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


def fault(endpoint: Endpoint, **wanted: object) -> requests.Response:
    return requests.post(endpoint.url + "/_faults", json=wanted, timeout=5)


@pytest.mark.parametrize("code", [code for code in codes.Code if code is not Code.OK])
def test_every_code_can_be_forced(endpoint: Endpoint, code: Code) -> None:
    fault(endpoint, code=code.value, count=1)
    forced, after = endpoint.send(), endpoint.send()
    assert (forced["code"], forced["msg"], forced["charge"], after["code"]) == (code.value, code.message, 2, "0000")


def counters(endpoint: Endpoint) -> tuple[int, int]:
    shown = requests.get(endpoint.url + "/_faults", timeout=5).json()
    return shown["calls"], shown["charged"]


def test_only_recognized_calls_are_counted_as_charged(endpoint: Endpoint) -> None:
    endpoint.send()
    endpoint.send(sign="0" * 64)
    fault(endpoint, code="9999", count=1)
    endpoint.send()
    assert counters(endpoint) == (3, 1)


@pytest.mark.parametrize(("when", "charged"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_is_charged_only_after_the_answer(endpoint: Endpoint, when: str, charged: int) -> None:
    fault(endpoint, drop=when, count=1)
    with pytest.raises(requests.ConnectionError):
        endpoint.send()
    assert (counters(endpoint), endpoint.send()["code"]) == ((1, charged), "0000")


def test_latency_makes_an_answer_late_until_it_is_cleared(endpoint: Endpoint) -> None:
    fault(endpoint, latency_s=0.3)
    begun_s = time.monotonic()
    endpoint.send()
    late_s = time.monotonic() - begun_s
    assert (requests.delete(endpoint.url + "/_faults", timeout=5).json()["faults"], late_s >= 0.3) == ({}, True)


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"code": "0000"}'])
def test_what_is_no_fault_is_http_400(endpoint: Endpoint, body: bytes) -> None:
    assert requests.post(endpoint.url + "/_faults", data=body, timeout=5).status_code == 400


def test_there_is_no_fault_switch_unless_it_was_asked_for() -> None:
    with running(faults=False) as plain:
        assert fault(plain, code="9980").json()["code"] == "1012"


def test_a_caller_that_hangs_up_in_mid_upload_is_charged_nothing(endpoint: Endpoint) -> None:
    with closing(socket.create_connection(endpoint.url.removeprefix("http://").split(":"))) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf".encode())
    deadline_s = time.monotonic() + 5
    while counters(endpoint) != (1, 0) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert (counters(endpoint), endpoint.send()["code"]) == ((1, 0), "0000")
