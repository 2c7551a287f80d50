"""Work for a caller, which ends when the caller goes."""

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from hmt_pass.endpoint.connections import while_connected


def caller(*messages: str) -> Request:
    """A request whose body has been received; what the server says of it from now on, and then nothing more."""
    said = list(messages)

    async def receive() -> dict[str, Any]:
        if not said:
            await asyncio.Event().wait()
        return {"type": said.pop(0)}

    return Request({"type": "http", "headers": []}, receive)


async def answer() -> str:
    await asyncio.sleep(0)
    return "answer"


async def too_late() -> str:
    raise TimeoutError


def test_a_caller_that_stays_gets_what_the_work_returns() -> None:
    assert asyncio.run(while_connected(caller("http.request"), answer())) == "answer"


def test_work_for_a_caller_that_hangs_up_is_cancelled() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(ClientDisconnect):
        asyncio.run(while_connected(caller("http.request", "http.disconnect"), work()))
    assert ended == ["cancelled"]


def test_work_that_runs_out_of_time_is_not_taken_for_a_hang_up() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(while_connected(caller(), too_late()))
