"""The clock of a connection whose caller does not take its answers, which real sockets hide behind large buffers."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.server import ServerState

from hmt_pass.endpoint.connections import Connection, Connections
from hmt_pass.endpoint.limits import Limits

STALL_S = 0.01


class Transport(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.ended = asyncio.Event()

    def abort(self) -> None:
        self.done.append("abort")
        self.ended.set()

    def close(self) -> None:
        self.done.append("close")

    def is_closing(self) -> bool:
        return bool(self.done)


def connected() -> tuple[Any, Transport]:
    """A connection of a server, and what it writes to."""
    made = Connections(Limits(stall_s=STALL_S), max_open=1).protocol
    config = uvicorn.Config(Starlette(), http=made, log_config=None)
    config.load()
    connection: Any = made(config=config, server_state=ServerState(), app_state={})
    transport = Transport()
    connection.connection_made(transport)
    return connection, transport


def outcome(scenario: Callable[[Any], None]) -> list[str]:
    """What is done to a connection within some ten times the limit."""

    async def run() -> list[str]:
        connection, transport = connected()
        scenario(connection)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(transport.ended.wait(), 10 * STALL_S)
        done = list(transport.done)
        connection.connection_lost(None)
        return done

    return asyncio.run(run())


def test_a_caller_that_does_not_take_what_is_sent_is_cut_off() -> None:
    assert outcome(lambda connection: connection.pause_writing()) == ["abort"]


def test_a_caller_that_takes_it_in_time_is_not() -> None:
    def take(connection: Connection) -> None:
        connection.pause_writing()
        connection.resume_writing()

    assert outcome(take) == []


def test_a_caller_that_does_not_take_the_last_answer_is_cut_off() -> None:
    def close_while_full(connection: Connection) -> None:
        connection.pause_writing()
        connection.close()
        connection.resume_writing()

    assert outcome(close_while_full) == ["close", "abort"]
