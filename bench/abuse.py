"""Callers that the endpoint has to survive beside the load: slow, huge, gone, idle."""

import asyncio
import random
from collections.abc import Callable, Coroutine

from bench.offer import Calls, head

_HUGE_BYTES = 40 * 1024 * 1024
_BLOCK = bytes(256 * 1024)
_PATIENCE_S = 40.0
_IDLE_AT_ONCE = 50


async def keep_on(calls: Calls, rng: random.Random, every_s: float) -> None:
    """Start one of the kinds every so many seconds on average, until cancelled."""
    kinds: list[Callable[[Calls], Coroutine[None, None, None]]] = [_drip, _huge, _hang_up, _idle]
    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(_quietly(rng.choice(kinds)(calls)))
            await asyncio.sleep(rng.expovariate(1 / every_s))


async def _quietly(abuse: Coroutine[None, None, None]) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await abuse
    except OSError:  # cut off, as it should be; a timeout is one, too
        return


async def _drip(calls: Calls) -> None:
    """A body that comes byte by byte and never ends."""
    _, writer = await asyncio.open_connection(calls.host, calls.port)
    try:
        writer.write(head(1_000_000))
        while True:
            writer.write(b"-")
            await writer.drain()
            await asyncio.sleep(0.5)
    finally:
        writer.close()


async def _huge(calls: Calls) -> None:
    """A body beyond any call, all of it sent."""
    reader, writer = await asyncio.open_connection(calls.host, calls.port)
    try:
        writer.write(head(_HUGE_BYTES))
        for _ in range(_HUGE_BYTES // len(_BLOCK)):
            writer.write(_BLOCK)
            await writer.drain()
        await reader.read()
    finally:
        writer.close()


async def _hang_up(calls: Calls) -> None:
    """A call whose caller does not wait for the answer."""
    _, writer = await asyncio.open_connection(calls.host, calls.port)
    try:
        writer.write(calls.next())
        await writer.drain()
        await asyncio.sleep(0.1)
    finally:
        writer.close()


async def _idle(calls: Calls) -> None:
    """Connections that never ask."""
    opened = [await asyncio.open_connection(calls.host, calls.port) for _ in range(_IDLE_AT_ONCE)]
    try:
        await asyncio.gather(*(reader.read() for reader, _ in opened))
    finally:
        for _, writer in opened:
            writer.close()
