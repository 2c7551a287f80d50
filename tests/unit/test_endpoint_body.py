"""How much of a body is received, and for how long."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from hmt_pass.codes import Code
from hmt_pass.endpoint import system
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.body import RUSH_BYTES, Bodies
from hmt_pass.endpoint.limits import Limits
from hmt_pass.endpoint.parameters import MAX_BODY_BYTES

LIMITS = replace(Limits(), body_s=0.02, held_bytes=100)


def request(*chunks: bytes, ends: bool = True, **headers: str) -> Request:
    """A request whose body comes in these chunks, and then ends or stays away."""
    waiting = list(chunks)

    async def receive() -> dict[str, Any]:
        if not waiting and not ends:
            await asyncio.Event().wait()
        body = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": body, "more_body": bool(waiting) or not ends}

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": named}, receive)


def received(bodies: Bodies, sent: Request) -> tuple[bytes, int]:
    """The body, and what was held of it while it was used."""

    async def receive() -> tuple[bytes, int]:
        with bodies.room() as room:
            return await room.receive(sent), bodies.held_bytes

    return asyncio.run(receive())


def refusal(bodies: Bodies, sent: Request) -> tuple[Code, int]:
    """The code, and what is held afterwards."""
    with pytest.raises(RefusedError) as refused:
        received(bodies, sent)
    return refused.value.code, bodies.held_bytes


def test_a_body_is_held_until_its_call_is_answered() -> None:
    bodies = Bodies(LIMITS, Code.RATE_EXCEEDED)
    assert (received(bodies, request(b"ab", b"c")), bodies.held_bytes) == ((b"abc", 3), 0)


@pytest.mark.parametrize("headers", [{"content_length": str(MAX_BODY_BYTES + 1)}, {}])
def test_a_body_beyond_any_call_is_1013(headers: dict[str, str]) -> None:
    bodies = Bodies(Limits(), Code.RATE_EXCEEDED)
    large = request(*[bytes(1 << 20)] * 25, **headers)
    assert refusal(bodies, large) == (Code.IMAGE_TOO_LARGE, 0)


def test_an_announced_length_does_not_count_for_a_body_in_chunks() -> None:
    sent = request(b"abc", content_length=str(MAX_BODY_BYTES + 1), transfer_encoding="chunked")
    assert received(Bodies(LIMITS, Code.RATE_EXCEEDED), sent) == (b"abc", 3)


@pytest.mark.parametrize("sent", [request(b"12", b"3"), request(content_length="3")])
def test_a_body_for_which_there_is_no_memory_left_is_overload(sent: Request) -> None:
    bodies = Bodies(LIMITS, Code.SERVER_ERROR)
    bodies.held_bytes = 98
    assert refusal(bodies, sent) == (Code.SERVER_ERROR, 98)


def test_a_body_that_never_ends_is_1002() -> None:
    bodies = Bodies(LIMITS, Code.RATE_EXCEEDED)
    assert refusal(bodies, request(b"a", ends=False)) == (Code.BAD_REQUEST, 0)


def test_what_a_caller_sent_before_it_hung_up_is_let_go() -> None:
    bodies = Bodies(LIMITS, Code.RATE_EXCEEDED)
    messages = [{"type": "http.request", "body": b"abc", "more_body": True}, {"type": "http.disconnect"}]
    held = []

    async def receive() -> dict[str, Any]:
        held.append(bodies.held_bytes)
        return messages.pop(0)

    with pytest.raises(ClientDisconnect):
        received(bodies, Request({"type": "http", "headers": []}, receive))
    assert (held, bodies.held_bytes) == ([0, 3], 0)


@pytest.mark.parametrize(("size", "given_back"), [(RUSH_BYTES // 4, 0), (RUSH_BYTES // 2 + 1, 1)])
def test_memory_is_given_back_once_all_of_a_rush_is_answered(
    monkeypatch: pytest.MonkeyPatch, size: int, given_back: int
) -> None:
    times: list[int] = []
    bodies = Bodies(Limits(), Code.RATE_EXCEEDED)
    monkeypatch.setattr(system, "give_back_memory", lambda: times.append(bodies.held_bytes))
    assert received_twice_at_once(bodies, size) == [size, size]
    received(bodies, request(b"abc"))
    assert times == [0] * given_back


def received_twice_at_once(bodies: Bodies, size: int) -> list[int]:
    async def receive(both: asyncio.Barrier) -> int:
        with bodies.room() as room:
            body = await room.receive(request(bytes(size)))
            await both.wait()
            return len(body)

    async def both() -> list[int]:
        barrier = asyncio.Barrier(2)
        return list(await asyncio.gather(receive(barrier), receive(barrier)))

    return asyncio.run(both())
