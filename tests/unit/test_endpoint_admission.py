"""Who gets to the engine, who waits for it, and who is told to come again."""

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest

from hmt_pass.codes import Code
from hmt_pass.endpoint.admission import Admission
from hmt_pass.endpoint.answers import RefusedError

THREADS = os.cpu_count() or 1


class Busy:
    """Reads nothing until it may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.begun = threading.Semaphore(0)
        self.seen: list[bytes] = []

    def read(self, picture: bytes) -> None:
        self.seen.append(picture)
        self.begun.release()
        self.may_go_on.wait(10)


@pytest.fixture
def engine() -> Iterator[Busy]:
    busy = Busy()
    yield busy
    busy.may_go_on.set()


async def readings(door: Admission, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(door.read(b"%d" % number)) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


def test_a_call_beyond_the_queue_is_refused_and_one_that_leaves_makes_room(engine: Busy) -> None:
    async def scenario() -> list[str]:
        door = Admission(engine, 1)
        *_, last = await readings(door, THREADS + 1)
        with pytest.raises(RefusedError) as refused:
            await door.read(b"late")
        last.cancel()
        await asyncio.wait([last])
        door.require_room()
        return [refused.value.code.value, refused.value.reason]

    assert asyncio.run(scenario()) == ["1009", "the endpoint is busy: call again in a few seconds"]


def test_the_code_of_overload_can_be_chosen(engine: Busy) -> None:
    async def scenario() -> Code:
        door = Admission(engine, 0, Code.SERVER_ERROR)
        await readings(door, THREADS)
        with pytest.raises(RefusedError) as refused:
            door.require_room()
        return refused.value.code

    assert asyncio.run(scenario()) is Code.SERVER_ERROR


def test_a_reading_that_is_cancelled_while_it_waits_never_begins(engine: Busy) -> None:
    async def scenario() -> None:
        door = Admission(engine, 2)
        *begun, waiting, last = await readings(door, THREADS + 2)
        waiting.cancel()
        await asyncio.wait([waiting])
        engine.may_go_on.set()
        await asyncio.gather(*begun, last)

    asyncio.run(scenario())
    assert sorted(engine.seen) == sorted(b"%d" % number for number in range(THREADS + 2) if number != THREADS)


def test_a_reading_that_has_begun_keeps_its_place_when_its_caller_has_gone(engine: Busy) -> None:
    async def scenario() -> None:
        door = Admission(engine, 0)
        tasks = await readings(door, THREADS)
        for _ in tasks:
            await asyncio.to_thread(engine.begun.acquire, timeout=5)
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        with pytest.raises(RefusedError):
            door.require_room()

    asyncio.run(scenario())


def test_a_closed_door_finishes_what_has_begun_and_turns_the_rest_away(engine: Busy) -> None:
    async def scenario() -> list[object]:
        door = Admission(engine, 2)
        *begun, waiting = await readings(door, THREADS + 1)
        for _ in begun:
            await asyncio.to_thread(engine.begun.acquire, timeout=5)
        door.close()
        refused = await asyncio.gather(waiting, door.read(b"late"), return_exceptions=True)
        engine.may_go_on.set()
        return [*await asyncio.gather(*begun), *(getattr(error, "reason", error) for error in refused)]

    stopping = "the endpoint is stopping: call again in a few seconds"
    assert asyncio.run(scenario()) == [None] * THREADS + [stopping] * 2


def test_what_the_engine_raises_comes_out() -> None:
    class Broken:
        def read(self, _: bytes) -> None:
            raise MemoryError

    async def scenario() -> None:
        door = Admission(Broken(), 0)
        for _ in range(THREADS + 1):
            with pytest.raises(MemoryError):
                await door.read(b"")

    asyncio.run(scenario())
