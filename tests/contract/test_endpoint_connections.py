"""Callers that are slow, greedy or broken, and HTTP as few libraries speak it: over real sockets."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from endpoints import API_ID, API_SECRET, Endpoint, photo, running
from wires import Wire, form, head, wire

from hmt_pass.client import Client
from hmt_pass.codes import Code
from hmt_pass.endpoint.faults.order import Order
from hmt_pass.endpoint.limits import Limits

HASTY = Limits(head_s=0.3, body_s=0.3, linger_s=0.3, stall_s=0.3)
HEALTH = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
BEYOND_ANY_CALL = 30 * 1024 * 1024


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """A patient one, for what must be answered."""
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def hasty() -> Iterator[Endpoint]:
    """One with short time limits, for what must end."""
    with running(limits=HASTY) as started:
        yield started


@pytest.fixture
def call(endpoint: Endpoint) -> Iterator[Wire]:
    with wire(endpoint.url) as opened:
        yield opened


@pytest.fixture
def hasty_call(hasty: Endpoint) -> Iterator[Wire]:
    with wire(hasty.url) as opened:
        yield opened


def posted(*headers: str, version: str = "1.1") -> tuple[str, bytes]:
    """Head and body of a call that is answered 0000."""
    content_type, body = form()
    return head(content_type, f"Content-Length: {len(body)}", *headers, version=version), body


def in_chunks(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def test_a_body_beyond_any_call_is_1013_for_a_caller_that_sends_all_of_it(endpoint: Endpoint) -> None:
    reply = Client(API_ID, API_SECRET, endpoint.url).recognize(bytes(BEYOND_ANY_CALL))
    assert (reply.code, endpoint.send(bytes(BEYOND_ANY_CALL))["code"]) == ("1013", "1013")


def test_a_body_beyond_any_call_is_1013_as_soon_as_it_is_announced(call: Wire) -> None:
    call.send(head(f"Content-Length: {BEYOND_ANY_CALL}"))
    answer = call.answer()
    assert (answer.code, answer.ends_the_connection, call.ends()) == ("1013", True, True)


def test_a_body_in_chunks_is_a_body(call: Wire) -> None:
    content_type, body = form()
    call.send(head(content_type, "Transfer-Encoding: chunked"), in_chunks(body, 100))
    assert call.answer().code == "0000"


def test_a_body_that_is_announced_twice_is_read_as_its_chunks_say_and_ends_the_connection(call: Wire) -> None:
    content_type, body = form()
    call.send(head(content_type, "Content-Length: 3", "Transfer-Encoding: chunked"), in_chunks(body, 5000), HEALTH)
    answer = call.answer()
    assert (answer.code, answer.ends_the_connection, call.ends()) == ("0000", True, True)


@pytest.mark.parametrize("length", ["-1", "1, 2", "x", "9" * 30])
def test_a_length_that_is_none_is_http_400(call: Wire, length: str) -> None:
    call.send(head(f"Content-Length: {length}"))
    assert (call.answer().status, call.ends()) == (400, True)


def test_a_caller_that_waits_to_be_asked_for_its_body_is_asked(call: Wire) -> None:
    announced, body = posted("Expect: 100-continue")
    call.send(announced)
    assert call.answer().status == 100
    call.send(body)
    assert call.answer().code == "0000"


def test_calls_that_are_sent_one_behind_the_other_are_answered_in_turn(call: Wire) -> None:
    call.send(*posted(), HEALTH, *posted())
    assert [call.answer().body[:10] for _ in range(3)] == [b'{"request_', b"ok\n", b'{"request_']


def test_http_1_0_is_answered_and_closed(call: Wire) -> None:
    call.send(*posted(version="1.0"))
    assert (call.answer().code, call.ends()) == ("0000", True)


def test_an_answer_that_comes_before_the_end_of_the_body_is_read_after_it(call: Wire) -> None:
    length = 2_000_000
    call.send(head(f"Content-Length: {length}", path="/elsewhere", version="1.0"))
    for _ in range(20):
        call.send(bytes(length // 20))
    assert (call.answer().code, call.ends()) == ("1012", True)


def test_a_caller_that_ends_its_side_after_half_a_call_is_let_go(call: Wire) -> None:
    announced, body = posted()
    call.send(announced, body[:-1])
    call.sock.shutdown(socket.SHUT_WR)
    assert call.ends()


def test_headers_without_an_end_are_http_400(call: Wire) -> None:
    call.send(head()[:-2], "X: ", "a" * 100_000)
    assert (call.answer().status, call.ends()) == (400, True)


@pytest.mark.parametrize("start", ["", "POST /v2/ocr", HEALTH + "POST /v2/ocr"])
def test_a_connection_that_does_not_ask_is_closed(hasty_call: Wire, start: str) -> None:
    hasty_call.send(start)
    if start.startswith(HEALTH):
        hasty_call.answer()
    assert hasty_call.ends()


def test_headers_that_drip_are_not_waited_for(hasty_call: Wire) -> None:
    assert drips(hasty_call, "POST /v2/ocr/hmt_pass HTTP/1.1\r\n" + "A: b\r\n" * 1000)


def test_a_body_that_drips_is_1002_with_a_reason_and_closed(hasty_call: Wire) -> None:
    hasty_call.send(head("Content-Length: 1000"))
    assert drips(hasty_call, "a" * 1000)


def test_a_body_that_is_shorter_than_announced_is_1002_with_a_reason(hasty_call: Wire) -> None:
    hasty_call.send(head("Content-Length: 1000"), "a")
    answer = hasty_call.answer()
    assert (answer.code, answer.ends_the_connection, b"Content-Length" in answer.body) == ("1002", True, True)


def drips(connection: Wire, text: str) -> bool:
    """Whether the other side closes before all of the text has dripped."""
    try:
        for letter in text:
            connection.send(letter)
            time.sleep(0.02)
    except ConnectionError:
        return True
    return False


def test_a_body_that_never_ends_is_1013_and_then_cut_off() -> None:
    block = in_chunks(bytes(1_000_000), 1_000_000).removesuffix(b"0\r\n\r\n")
    with running(limits=Limits(linger_bytes=20_000_000)) as endpoint, wire(endpoint.url) as call:
        call.send(head("Transfer-Encoding: chunked"))
        assert call.is_cut_off(block, within_s=Limits().body_s)
        assert call.answer().code == "1013"


def test_a_thousand_idle_connections_do_not_keep_anybody_from_being_answered() -> None:
    with running() as endpoint, ExitStack() as idle:
        wires = [idle.enter_context(wire(endpoint.url)) for _ in range(1000)]
        assert [endpoint.send()["code"] for _ in range(3)] == ["0000"] * 3
        wires[0].send(HEALTH)
        assert wires[0].answer().body == b"ok\n"


def test_one_connection_too_many_closes_the_one_that_has_been_idle_longest() -> None:
    with running(limits=Limits(connections=2)) as endpoint, wire(endpoint.url) as idle, wire(endpoint.url) as working:
        announced, body = posted("Expect: 100-continue")
        working.send(announced)
        working.answer()
        with wire(endpoint.url) as new:
            new.send(HEALTH)
            assert (new.answer().body, idle.ends()) == (b"ok\n", True)
        working.send(body)
        assert working.answer().code == "0000"


@pytest.mark.parametrize("start", ["POST /v2", head("Content-Length: 9"), head(f"Content-Length: {BEYOND_ANY_CALL}")])
def test_connections_whose_callers_do_not_go_on_keep_nobody_out(start: str) -> None:
    with running(limits=Limits(connections=3)) as endpoint, ExitStack() as stuck:
        wires = [stuck.enter_context(wire(endpoint.url)) for _ in range(3)]
        for one in wires:
            one.send(start)
        time.sleep(0.1)
        assert [endpoint.send()["code"] for _ in range(3)] == ["0000"] * 3


def test_of_two_bodies_the_one_that_has_stood_longer_is_closed_for_a_newcomer() -> None:
    with running(limits=Limits(connections=2)) as endpoint, wire(endpoint.url) as moving, wire(endpoint.url) as still:
        announced, body = posted("Expect: 100-continue")
        for one in (moving, still):
            one.send(announced)
            assert one.answer().status == 100
        moving.send(body[:1])
        with wire(endpoint.url) as new:
            new.send(HEALTH)
            assert (new.answer().body, still.ends()) == (b"ok\n", True)
        moving.send(body[1:])
        assert moving.answer().code == "0000"


def test_a_connection_too_many_is_refused_when_all_are_being_answered() -> None:
    with running(faults=True, limits=Limits(connections=1)) as endpoint:
        endpoint.faults.set(Order.from_json(b'{"latency_s": 0.5, "count": 1}'))
        with wire(endpoint.url) as working:
            working.send(*posted())
            while not endpoint.faults.calls:
                time.sleep(0.01)
            with wire(endpoint.url) as refused:
                assert refused.ends()
            assert working.answer().code == "0000"


@pytest.mark.parametrize("size", [1, 2, 20])
def test_a_body_in_dust_is_1002_and_closed(call: Wire, size: int) -> None:
    dust = in_chunks(bytes(size * 40_000), size)
    call.send(head("Transfer-Encoding: chunked"), dust)
    answer = call.answer()
    assert (answer.code, answer.ends_the_connection, b"chunks" in answer.body) == ("1002", True, True)


def test_chunks_that_say_much_and_bring_nothing_are_1002(call: Wire) -> None:
    call.send(head("Transfer-Encoding: chunked"), *[f"1;{'x' * 1000}\r\na\r\n" for _ in range(100)])
    assert call.answer().code == "1002"


def test_a_body_in_lines_of_base64_is_a_body(call: Wire) -> None:
    content_type, body = form(photo() + bytes(1_000_000))
    call.send(head(content_type, "Transfer-Encoding: chunked"), in_chunks(body, 78))
    assert call.answer().code == "0000"


def test_a_stop_does_not_wait_for_a_caller_that_is_heard_out() -> None:
    with ExitStack() as later, running() as endpoint:
        call = later.enter_context(wire(endpoint.url))
        call.send(head(f"Content-Length: {BEYOND_ANY_CALL}"))
        call.answer()
        stopped_at_s = time.monotonic()
    assert time.monotonic() - stopped_at_s < Limits().stop_s / 2


@contextmanager
def process() -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The endpoint as a program of its own, and its address."""
    environment = {"HMT_PASS_API_ID": API_ID, "HMT_PASS_API_SECRET": API_SECRET}
    command = [sys.executable, "-m", "hmt_pass.endpoint", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as started:
        try:
            assert started.stdout
            yield started, started.stdout.readline().split()[-1]
        finally:
            started.kill()


def test_a_stop_waits_for_the_call_under_way_and_is_a_success() -> None:
    announced, body = posted()
    with process() as (server, url), wire(url) as call, wire(url) as idle:
        call.send(announced, body[:-1])
        idle.send(HEALTH)
        idle.answer()
        server.send_signal(signal.SIGTERM)
        assert idle.ends()
        call.send(body[-1:])
        assert (call.answer().code, server.wait(10)) == (Code.BAD_IMAGE_SIZE_OR_FORMAT.value, 0)


def test_a_second_stop_is_at_once() -> None:
    with process() as (server, url), wire(url) as call, wire(url) as idle:
        call.send(head("Content-Length: 1"))
        idle.send(HEALTH)
        idle.answer()
        server.send_signal(signal.SIGTERM)
        assert idle.ends()
        server.send_signal(signal.SIGTERM)
        assert server.wait(2) == 128 + signal.SIGTERM
