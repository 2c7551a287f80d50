"""The endpoint under more calls than it can answer: who is told at once, what is held, what goes on."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import requests
from endpoints import PATIENCE_S, Endpoint, Engine, photo, refusal, running, said
from wires import form, head, wire

from hmt_pass.codes import Code
from hmt_pass.endpoint import parameters
from hmt_pass.endpoint.conventions import Conventions
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.endpoint.limits import Limits
from local.stage import until

THREADS = os.cpu_count() or 1


class BusyEngine(Engine):
    """Reads nothing until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()

    def read(self, picture: bytes) -> Reading | None:
        found = super().read(picture)
        self.may_go_on.wait(10)
        return found


class Busy:
    """An endpoint whose engine is busy, with room for one call to wait."""

    def __init__(self, endpoint: Endpoint, engine: BusyEngine, callers: ThreadPoolExecutor) -> None:
        self.endpoint, self.engine, self._callers = endpoint, engine, callers
        self._calls = [callers.submit(endpoint.send) for _ in range(THREADS)]
        assert until(lambda: len(engine.seen) == THREADS, PATIENCE_S)

    def has_room(self) -> bool:
        """Whether a caller is asked for its body. It hangs up then."""
        with wire(self.endpoint.url) as call:
            call.send(head("Content-Length: 1", "Expect: 100-continue"))
            return call.answer().status == 100

    def fill(self) -> None:
        """Let one call wait."""
        self._calls.append(self._callers.submit(self.endpoint.send))
        assert until(lambda: not self.has_room(), PATIENCE_S)

    def go_on(self) -> list[str]:
        """Let the engine read; the codes of all calls made here."""
        self.engine.may_go_on.set()
        return [call.result(10)["code"] for call in self._calls]


@contextmanager
def busy(conventions: Conventions | None = None, limits: Limits | None = None) -> Iterator[Busy]:
    engine = BusyEngine()
    with (
        running(engine=engine, max_waiting=1, conventions=conventions, limits=limits) as endpoint,
        ThreadPoolExecutor(THREADS + 1) as callers,
    ):
        try:
            yield Busy(endpoint, engine, callers)
        finally:
            engine.may_go_on.set()


@pytest.fixture
def full() -> Iterator[Busy]:
    """A busy endpoint whose only waiting place is taken."""
    with busy() as endpoint:
        endpoint.fill()
        yield endpoint


def test_a_call_too_many_is_1009_and_those_before_it_are_read(full: Busy) -> None:
    refused = full.endpoint.send()
    assert (said(refused), "busy" in refused["reason"]) == (refusal(Code.RATE_EXCEEDED), True)
    assert full.go_on() == ["0000"] * (THREADS + 1)
    assert full.endpoint.send()["code"] == "0000"


def test_overload_can_be_answered_9999() -> None:
    with busy(Conventions(overload=Code.SERVER_ERROR)) as endpoint:
        endpoint.fill()
        assert said(endpoint.endpoint.send()) == refusal(Code.SERVER_ERROR)


def test_a_call_too_many_is_answered_before_its_body_has_come(full: Busy) -> None:
    with wire(full.endpoint.url) as call:
        call.send(head("Content-Length: 5000000"))
        answer = call.answer()
    assert (answer.code, answer.ends_the_connection) == ("1009", True)


def test_a_call_too_many_is_answered_when_it_sends_all_of_its_body_first(full: Busy) -> None:
    assert full.endpoint.send(photo() + bytes(4_000_000))["code"] == "1009"


def test_an_endpoint_whose_engine_is_full_is_healthy_and_knows_its_paths(full: Busy) -> None:
    assert requests.get(full.endpoint.url + "/healthz", timeout=20).text == "ok\n"
    assert full.endpoint.post(path="/elsewhere")["code"] == "1012"


def test_a_caller_that_hangs_up_while_it_waits_is_not_read_and_makes_room() -> None:
    content_type, body = form(photo(80))
    with busy() as endpoint:
        with wire(endpoint.endpoint.url) as call:
            call.send(head(content_type, f"Content-Length: {len(body)}"), body)
            assert until(lambda: not endpoint.has_room(), PATIENCE_S)
        assert until(endpoint.has_room, PATIENCE_S)
        assert (endpoint.go_on(), endpoint.engine.seen) == (["0000"] * THREADS, [photo()] * THREADS)


def test_bodies_for_which_there_is_no_memory_are_1009_until_there_is_some() -> None:
    with busy(limits=Limits(held_bytes=9_000 * THREADS)) as endpoint, wire(endpoint.endpoint.url) as call:
        call.send(head("Content-Length: 9000000"))
        assert call.answer().code == "1009"
        assert not _is_asked_for(endpoint.endpoint, 9_000 * THREADS)
        assert endpoint.go_on() == ["0000"] * THREADS
        assert _is_asked_for(endpoint.endpoint, 9_000 * THREADS)


def test_bodies_that_stand_still_yield_to_one_that_comes() -> None:
    content_type, body = form(bytes(1000))
    announced = head(content_type, f"Content-Length: {len(body)}")
    with running(limits=Limits(held_bytes=2 * len(body))) as endpoint, ExitStack() as opened:
        stuck = [opened.enter_context(wire(endpoint.url)) for _ in range(2)]
        for call in stuck:
            call.send(announced, body[:-1])
        with wire(endpoint.url) as honest:
            honest.send(announced, body)
            assert honest.answer().code == "1015"
        stuck[1].send(body[-1:])
        answers = [call.answer() for call in stuck]
        assert sorted((answer.code, answer.ends_the_connection) for answer in answers) == [
            ("1009", True),
            ("1015", False),
        ]


def _is_asked_for(endpoint: Endpoint, length: int) -> bool:
    with wire(endpoint.url) as call:
        call.send(head(f"Content-Length: {length}", "Expect: 100-continue"))
        return call.answer().status == 100


def test_an_engine_that_runs_out_of_memory_is_9999_and_reads_on() -> None:
    with running() as endpoint:
        found, endpoint.engine.found = endpoint.engine.found, MemoryError()
        assert said(endpoint.send()) == refusal(Code.SERVER_ERROR)
        endpoint.engine.found = found
        assert endpoint.send()["code"] == "0000"


def test_a_body_that_no_memory_is_left_to_parse_is_1009(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*_: object) -> None:
        raise MemoryError

    with running() as endpoint, monkeypatch.context() as patch:
        patch.setattr(parameters, "parse", parse)
        assert said(endpoint.send()) == refusal(Code.RATE_EXCEEDED)
