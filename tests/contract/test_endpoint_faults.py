"""The fault switch over real HTTP."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests
from endpoints import API_ID, API_SECRET, PATIENCE_S, Endpoint, photo, running

from hmt_pass import codes, signing
from hmt_pass.client import Client
from hmt_pass.codes import Code
from hmt_pass.endpoint.app import PATH
from hmt_pass.endpoint.limits import Limits
from hmt_pass.endpoint.parameters import MAX_BODY_BYTES
from hmt_pass.errors import UnreadableReplyError
from local.stage import until

PHOTO = {"file": ("a.jpg", photo())}


def signed(**parameters: str) -> dict[str, str]:
    timestamp = signing.timestamp()
    sign = signing.sign(API_ID, API_SECRET, timestamp)
    return {"api_id": API_ID, "timestamp": timestamp, "sign": sign, **parameters}


@pytest.mark.parametrize("code", [code for code in codes.Code if code is not Code.OK])
def test_every_code_can_be_forced(endpoint: Endpoint, code: Code) -> None:
    endpoint.fault(code=code.value, count=1)
    forced, after = endpoint.send(), endpoint.send()
    assert (forced["code"], forced["msg"], forced["charge"], after["code"]) == (code.value, code.message, 2, "0000")


def counters(endpoint: Endpoint) -> tuple[int, int]:
    shown = endpoint.shown_faults()
    return shown["calls"], shown["charged"]


def test_only_recognized_calls_are_counted_as_charged(endpoint: Endpoint) -> None:
    endpoint.send()
    endpoint.send(sign="0" * 64)
    endpoint.fault(code="9999", count=1)
    endpoint.send()
    assert counters(endpoint) == (3, 1)


@pytest.mark.parametrize(("when", "charged"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_is_charged_only_after_the_answer(endpoint: Endpoint, when: str, charged: int) -> None:
    endpoint.fault(drop=when, count=1)
    with pytest.raises(requests.ConnectionError):
        endpoint.send()
    assert (counters(endpoint), endpoint.send()["code"]) == ((1, charged), "0000")


def test_latency_makes_an_answer_late_until_it_is_cleared(endpoint: Endpoint) -> None:
    endpoint.fault(latency_s=0.3)
    begun_s = time.monotonic()
    endpoint.send()
    late_s = time.monotonic() - begun_s
    assert (endpoint.clear_faults()["faults"], late_s >= 0.3) == ({}, True)


@pytest.mark.parametrize(("when", "charged"), [("before", 0), ("after", 1)])
def test_a_hung_call_is_charged_only_after_the_answer(endpoint: Endpoint, when: str, charged: int) -> None:
    endpoint.fault(hang=when, count=1)
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(endpoint.send)
        assert until(lambda: endpoint.faults.hanging == 1, PATIENCE_S)
        while_it_hung = counters(endpoint), endpoint.send()["code"], hung.done()
        endpoint.clear_faults()
        assert (while_it_hung, hung.result(5)["code"]) == (((1, charged), "0000", False), "0000")


@pytest.mark.parametrize(("when", "charged"), [("before", 0), ("after", 1)])
def test_a_caller_that_hangs_up_ends_its_hung_call(endpoint: Endpoint, when: str, charged: int) -> None:
    endpoint.fault(hang=when)
    with pytest.raises(requests.ReadTimeout):
        requests.post(endpoint.url + PATH, data=signed(url="https://a"), files=PHOTO, timeout=0.5)
    assert until(lambda: endpoint.faults.hanging == 0, PATIENCE_S)
    assert counters(endpoint) == (1, charged)


def test_hung_calls_hold_neither_the_engine_nor_threads(endpoint: Endpoint) -> None:
    endpoint.fault(hang="before", count=100)
    with ThreadPoolExecutor(100) as pool:
        hung = [pool.submit(endpoint.send) for _ in range(100)]
        assert until(lambda: endpoint.faults.hanging == 100, PATIENCE_S)
        threads = threading.active_count()
        answered = endpoint.send()["code"]
        endpoint.clear_faults()
        codes_after = {call.result(20)["code"] for call in hung}
    assert (answered, threads < 100 + 50) == ("0000", True)
    assert codes_after <= {"0000", "1009"}  # a hundred readings at once are more than may wait


def test_an_endpoint_that_stops_lets_go_of_hung_calls() -> None:
    with ThreadPoolExecutor(1) as pool:
        with running(faults=True) as stopping:
            stopping.fault(hang="after")
            hung = pool.submit(stopping.send)
            assert until(lambda: stopping.faults.hanging == 1, PATIENCE_S)
            begun_s = time.monotonic()
        took_s = time.monotonic() - begun_s
        assert (isinstance(hung.exception(5), requests.ConnectionError), took_s < Limits().stop_s) == (True, True)


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("html", "HTTP 502"),
        ("gateway", "HTTP 503"),
        ("half", "HTTP 200"),
        ("text", "HTTP 200"),
        ("empty", "HTTP 200"),
        ("list", "HTTP 200"),
        ("bytes", "HTTP 200"),
    ],
)
def test_garbage_comes_instead_of_an_answer_and_is_charged_like_it(endpoint: Endpoint, kind: str, problem: str) -> None:
    endpoint.fault(garbage=kind, count=1)
    with pytest.raises(UnreadableReplyError, match=problem):
        Client(API_ID, API_SECRET, endpoint.url).recognize(photo())
    assert (counters(endpoint), endpoint.send()["code"]) == ((1, 1), "0000")


def test_a_code_that_the_text_does_not_list_can_be_forced(endpoint: Endpoint) -> None:
    endpoint.fault(code="4711", count=1)
    body = endpoint.send()
    assert (body["code"], body["charge"], counters(endpoint)) == ("4711", 2, (1, 0))


def test_effects_are_combined(endpoint: Endpoint) -> None:
    endpoint.fault(code="9999", latency_s=0.3, garbage="list", count=1)
    begun_s = time.monotonic()
    body = endpoint.request(files=PHOTO).json()
    assert (body[0]["code"], time.monotonic() - begun_s >= 0.3) == ("9999", True)


def test_what_is_set_and_what_was_struck_is_shown(endpoint: Endpoint) -> None:
    endpoint.fault(code="9999", count=2)
    endpoint.send()
    shown = endpoint.shown_faults()
    left = {"code": {"value": "9999", "count": 1, "share": 1.0, "for_s": None}}
    assert shown == {"faults": left, "calls": 1, "charged": 0, "struck": 1, "hanging": 0}


@pytest.mark.parametrize("body", [b"{", b"[1]", b"[" * 100_000, b'{"code": "0000"}'])
def test_what_is_no_fault_is_http_400_and_says_why(endpoint: Endpoint, body: bytes) -> None:
    response = requests.post(endpoint.url + "/_faults", data=body, timeout=20)
    assert (response.status_code, "must be" in response.text) == (400, True)


def test_a_body_that_is_no_fault_by_its_size_alone_is_http_400(endpoint: Endpoint) -> None:
    response = requests.post(endpoint.url + "/_faults", data=bytes(MAX_BODY_BYTES + 1), timeout=20)
    assert (response.status_code, "too large" in response.text) == (400, True)


def test_there_is_no_fault_switch_unless_it_was_asked_for() -> None:
    with running(faults=False) as plain:
        assert plain.fault(code="9980")["code"] == "1012"


def test_a_caller_that_hangs_up_in_mid_upload_is_charged_nothing(endpoint: Endpoint) -> None:
    with closing(socket.create_connection(endpoint.url.removeprefix("http://").split(":"))) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf".encode())
    assert until(lambda: counters(endpoint) == (1, 0), PATIENCE_S)
    assert endpoint.send()["code"] == "0000"
