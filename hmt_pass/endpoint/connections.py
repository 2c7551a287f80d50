"""Dropping a connection on purpose: what the fault `drop` needs and a web framework does not offer."""

import asyncio

from starlette.requests import Request
from uvicorn.protocols.http.auto import AutoHTTPProtocol


class Connections:
    """The open connections of a server, by the address of their other end."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}
        opened = self._open

        class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # uvicorn picks the class at run time
            """uvicorn's HTTP protocol, that lets its connection be found."""

            def connection_made(self, transport: asyncio.Transport) -> None:
                super().connection_made(transport)
                self._peer = transport.get_extra_info("peername")[:2]
                opened[self._peer] = transport

            def connection_lost(self, error: Exception | None) -> None:
                super().connection_lost(error)
                opened.pop(self._peer, None)

        self.protocol: type[asyncio.Protocol] = Protocol

    def drop(self, request: Request) -> None:
        """Close the request's connection at once, without an answer."""
        client = request.client
        transport = self._open.get((client.host, client.port)) if client else None
        if transport is not None:
            transport.abort()
