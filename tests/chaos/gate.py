"""Gates in front of a server, which can be shut in several ways while everybody goes on using the same address."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


class Mode(StrEnum):
    """What becomes of a connection."""

    PASS = "pass"
    REFUSE = "refuse"
    HANG = "hang"


class Gate:
    """Passes bytes between 127.0.0.1:`port` and the server behind it. Call it from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target_port: int) -> None:
        self._loop = loop
        self._target_port = target_port
        self._mode = Mode.PASS
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.resets = 0
        self.port = 0

    def open(self) -> None:
        """Let everything through; what hung goes on."""
        self._do(self._change(Mode.PASS))

    def refuse(self) -> None:
        """Reset what is connected and every new connection."""
        self._do(self._change(Mode.REFUSE))

    def hang(self) -> None:
        """Take everything and pass nothing on."""
        self._do(self._change(Mode.HANG))

    def reset_all(self) -> int:
        """Reset what is connected now; returns how many connections that were."""
        return self._do(self._reset_all())

    async def serve(self) -> None:
        """Listen; called once, in the loop's thread."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Reset what is connected and listen no more."""
        self._do(self._close())

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.REFUSE:
            _reset(writer)
            return
        ends = [writer]
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
            ends.append(back)
            self._writers.add(back)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(there, writer))
                both.create_task(self._requests(reader, writer, back))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # whoever was cut off finds out by itself
        finally:
            for end in ends:
                end.transport.abort()
                self._writers.discard(end)

    async def _requests(
        self, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        await self._pump(reader, back)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def _close(self) -> None:
        self._server.close()
        await self._change(Mode.REFUSE)

    async def _change(self, mode: Mode) -> None:
        self._mode = mode
        if mode is Mode.HANG:
            self._open.clear()
        else:
            self._open.set()
        if mode is Mode.REFUSE:
            await self._reset_all()

    async def _reset_all(self) -> int:
        writers, self._writers = self._writers, set()
        for writer in writers:
            _reset(writer)
        self.resets += len(writers)
        return len(writers)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class S3Gate(Gate):
    """Looks at each request too, and answers some of them itself: `answer(503, "SlowDown", methods={"PUT"})`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target_port: int) -> None:
        super().__init__(loop, target_port)
        self._refusal: tuple[int, str] | None = None
        self._methods: set[str] = set()
        self._share = 0.0
        self._delay_s = 0.0
        self._chance = random.Random()
        self.refused = 0

    def answer(self, status: int, code: str, *, methods: set[str], share: float = 1.0, seed: int = 0) -> None:
        """Answer this share of the requests with these methods in place of S3, until `open`."""
        self._refusal, self._methods, self._share = (status, code), methods, share
        self._chance = random.Random(seed)

    def slow(self, delay_s: float, *, methods: set[str]) -> None:
        """Let requests with these methods wait so long, until `open`."""
        self._delay_s, self._methods = delay_s, methods

    def open(self) -> None:
        self._refusal, self._delay_s = None, 0.0
        super().open()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            method = head.split(b" ", 1)[0].decode()
            length = _content_length(head)
            is_meant = method in self._methods
            if is_meant and self._refusal and self._chance.random() < self._share:
                self.refused += 1
                await _answer(writer, *self._refusal)
                return
            if is_meant and self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._open.wait()
            back.write(head)
            while length > 0:
                data = await reader.read(min(length, 65536))
                if not data:
                    return
                await self._open.wait()
                back.write(data)
                length -= len(data)
            await back.drain()


@contextmanager
def gates() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own, for `raise_gate`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


G = TypeVar("G", bound=Gate)


def raise_gate(kind: type[G], loop: asyncio.AbstractEventLoop, target_port: int) -> G:
    """A gate that listens, in front of the server on that port."""

    async def begin() -> G:
        gate = kind(loop, target_port)
        await gate.serve()
        return gate

    return asyncio.run_coroutine_threadsafe(begin(), loop).result(10)


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # lets the transports say that they are closed


async def _answer(writer: asyncio.StreamWriter, status: int, code: str) -> None:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
    await writer.drain()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
