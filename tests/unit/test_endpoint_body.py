"""How much of a body is received, and for how long."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from hmt_pass.codes import Code
from hmt_pass.endpoint import system
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.body import RUSH_BYTES, STRIDE_BYTES, Bodies
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


class Race:
    """Bodies that come in at once, chunk by chunk, as the test says."""

    def __init__(self, held_bytes: int) -> None:
        self.bodies = Bodies(replace(Limits(), held_bytes=held_bytes), Code.RATE_EXCEEDED)
        self._calls: dict[str, tuple[asyncio.Queue[tuple[bytes, bool]], asyncio.Task[int]]] = {}

    async def begin(self, name: str, *, answered: asyncio.Event | None = None, **headers: str) -> None:
        """A call begins; it is over when its body is here, and `answered` set."""
        coming: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        named = [(header.replace("_", "-").encode(), value.encode()) for header, value in headers.items()]

        async def receive() -> dict[str, Any]:
            body, more = await coming.get()
            return {"type": "http.request", "body": body, "more_body": more}

        async def call() -> int:
            with self.bodies.room() as room:
                body = await room.receive(Request({"type": "http", "headers": named}, receive))
                if answered:
                    await answered.wait()
                return len(body)

        self._calls[name] = coming, asyncio.create_task(call())
        await self.settle()

    async def come(self, name: str, count_bytes: int, *, ends: bool = False) -> None:
        """So many bytes more of a body."""
        self._calls[name][0].put_nowait((bytes(count_bytes), not ends))
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    def states(self) -> list[str]:
        """What has become of each call: what it was answered, or its body's length, or that it goes on."""
        return [self._state(task) for _, task in self._calls.values()]

    async def stop(self) -> None:
        for _, task in self._calls.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in self._calls.values()), return_exceptions=True)

    @staticmethod
    def _state(task: asyncio.Task[int]) -> str:
        if not task.done():
            return "goes on"
        error = task.exception()
        return error.code.value if isinstance(error, RefusedError) else str(task.result())


def raced(scenario: Callable[[Race], Awaitable[None]], held_bytes: int = 100) -> tuple[list[str], int]:
    """The states at the end of a scenario, and what is held."""

    async def run() -> tuple[list[str], int]:
        race = Race(held_bytes)
        await scenario(race)
        end = race.states(), race.bodies.held_bytes
        await race.stop()
        return end

    return asyncio.run(run())


def test_of_bodies_that_stand_still_the_one_that_has_stood_longest_yields_to_a_newcomer() -> None:
    async def scenario(race: Race) -> None:
        for name in ("first", "second"):
            await race.begin(name)
            await race.come(name, 50)
        await race.begin("newcomer", content_length="40")
        await race.come("newcomer", 40, ends=True)

    assert raced(scenario) == (["1009", "goes on", "40"], 50)


def test_what_is_only_announced_cuts_nobody_off() -> None:
    async def scenario(race: Race) -> None:
        await race.begin("first")
        await race.come("first", 100)
        await race.begin("newcomer", content_length="100")

    assert raced(scenario) == (["goes on", "goes on"], 100)


def test_a_whole_body_is_never_cut_off() -> None:
    async def scenario(race: Race) -> None:
        await race.begin("whole", answered=asyncio.Event())
        await race.come("whole", 100, ends=True)
        await race.begin("announced", content_length="1")
        await race.begin("in chunks")
        await race.come("in chunks", 1)

    assert raced(scenario) == (["goes on", "1009", "1009"], 100)


@pytest.mark.parametrize(
    ("step_bytes", "states"), [(1, ["1009", "goes on", "goes on"]), (STRIDE_BYTES, ["goes on", "1009", "goes on"])]
)
def test_single_bytes_do_not_make_a_body_fast(step_bytes: int, states: list[str]) -> None:
    room_bytes = 4 * STRIDE_BYTES

    async def scenario(race: Race) -> None:
        await race.begin("first")
        await race.begin("second")
        await race.come("first", step_bytes)
        await race.come("second", STRIDE_BYTES)
        await race.come("first", step_bytes)
        await race.begin("newcomer")
        await race.come("newcomer", room_bytes - race.bodies.held_bytes + 1)

    assert raced(scenario, room_bytes)[0] == states


def test_the_slowest_body_makes_no_room_for_itself() -> None:
    async def scenario(race: Race) -> None:
        await race.begin("slowest")
        await race.come("slowest", 50)
        await race.begin("young")
        await race.come("young", 50)
        await race.come("slowest", 1)

    assert raced(scenario) == (["1009", "goes on"], 50)


def test_a_body_that_is_cut_off_while_its_end_is_on_its_way_is_not_taken_for_whole() -> None:
    async def scenario(race: Race) -> None:
        await race.begin("first")
        await race.come("first", 60)
        await race.begin("newcomer")
        newcomer = asyncio.create_task(race.come("newcomer", 60, ends=True))
        await asyncio.gather(newcomer, race.come("first", 1, ends=True))

    assert raced(scenario) == (["1009", "60"], 0)


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
