"""The routes: the API's one path, its description and health, and with --faults the fault switch."""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import request_response

from hmt_pass.codes import Code
from hmt_pass.endpoint import answers, openapi, parameters
from hmt_pass.endpoint.answers import Answer, RefusedError
from hmt_pass.endpoint.body import Bodies, Room
from hmt_pass.endpoint.call import Caller
from hmt_pass.endpoint.connections import while_connected
from hmt_pass.endpoint.conventions import Conventions, http_status
from hmt_pass.endpoint.faults import Faults, Strike, garbage
from hmt_pass.endpoint.faults.order import AFTER, BEFORE, Order
from hmt_pass.endpoint.limits import Limits
from hmt_pass.endpoint.parameters import Parameters

PATH = "/v2/ocr/hmt_pass"

_FAULTS_METHODS = ["GET", "HEAD", "POST", "DELETE"]
_SCHEME_AND_HOST = re.compile("^https?://[^/]*", re.IGNORECASE)  # sent to proxies, and allowed (RFC 9112, 3.2.2)

log = logging.getLogger(__name__)

DropConnection = Callable[[Request], None]
"""Closes the connection of a request at once; what the server offers for the fault `drop`."""


def create(
    caller: Caller,
    conventions: Conventions,
    drop_connection: DropConnection,
    faults: Faults | None = None,
    limits: Limits | None = None,
) -> Starlette:
    """The application. With `faults` it also serves /_faults; `drop_connection` carries out the fault `drop`."""
    bodies = Bodies(limits or Limits(), conventions.overload)
    routes = _Routes(caller, conventions, bodies, drop_connection, faults)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await caller.close()

    app = Starlette(lifespan=lifespan)
    app.router.default = request_response(routes.serve)  # a Route takes neither any method nor any target
    return app


class _Routes:
    def __init__(
        self,
        caller: Caller,
        conventions: Conventions,
        bodies: Bodies,
        drop_connection: DropConnection,
        faults: Faults | None,
    ) -> None:
        self._caller, self._conventions, self._bodies = caller, conventions, bodies
        self._drop_connection, self._faults = drop_connection, faults or Faults()
        self._description = openapi.document(conventions, with_faults=faults is not None)
        self._served = {
            (PATH, "POST"): self.recognize,
            **dict.fromkeys([("/openapi.json", "GET"), ("/openapi.json", "HEAD")], self.openapi),
            **dict.fromkeys([("/healthz", "GET"), ("/healthz", "HEAD")], self.healthz),
        }
        if faults is not None:
            self._served |= dict.fromkeys([("/_faults", method) for method in _FAULTS_METHODS], self.faults)

    async def serve(self, request: Request) -> Response:
        """Answer a request: whatever is not served here is 1012."""
        path = _SCHEME_AND_HOST.sub("", request.scope["path"])
        return await self._served.get((path, request.method), self.wrong_path)(request)

    async def recognize(self, request: Request) -> Response:
        """Answer one call, with the faults that are set."""
        started_s = time.monotonic()
        strike = self._faults.strike()
        if strike.drop == BEFORE:
            return self._drop(request)
        try:
            sequence_id, answer = await self._answer(request, strike)
            self._faults.charged += answer.charged
            _log(answer, sequence_id, time.monotonic() - started_s)
            if strike.hang == AFTER:
                await self._faults.hang(request.receive)
        except ClientDisconnect:  # in the middle of its body, or hung: there is nobody to answer
            return self._drop(request)
        if strike.drop == AFTER:
            return self._drop(request)
        response = self._response(answer)
        return garbage.instead_of(response, garbage.Kind(strike.garbage)) if strike.garbage else response

    async def _answer(self, request: Request, strike: Strike) -> tuple[str, Answer]:
        """The call's sequence_id, as far as it could be read, and its answer."""
        with self._bodies.room() as room:
            try:
                sent = await self._sent(request, room)
            except RefusedError as refusal:
                return "", answers.refused(refusal)
            except MemoryError:
                return "", answers.refused(RefusedError(self._conventions.overload))
            sequence_id = sent.get("sequence_id")
            await asyncio.sleep(strike.latency_s)
            if strike.hang == BEFORE:
                await self._faults.hang(request.receive)
            if strike.code:
                return sequence_id, answers.forced(strike.code, sent.source)
            return sequence_id, await while_connected(request, self._caller.answer(sent))

    async def _sent(self, request: Request, room: Room) -> Parameters:
        """The call's parameters. Raises RefusedError, before the body is there when there is no room for the call."""
        self._caller.engine.require_room()
        body = await room.receive(request)
        content_type = request.headers.get("Content-Type", "")
        # A large body takes a while to parse, and the event loop has other callers.
        return await asyncio.to_thread(parameters.parse, request.scope["query_string"], content_type, body)

    def _response(self, answer: Answer) -> Response:
        return JSONResponse(answer.body, http_status(self._conventions.http_status, answer.code))

    def _drop(self, request: Request) -> Response:
        self._drop_connection(request)
        return Response()

    async def healthz(self, _: Request) -> Response:
        """200 once the models are loaded."""
        return PlainTextResponse("ok\n")

    async def openapi(self, _: Request) -> Response:
        """The description of this API, for machines."""
        return JSONResponse(self._description)

    async def wrong_path(self, request: Request) -> Response:
        """Business code 1012, also for the right path with another method than POST."""
        answer = answers.refused(RefusedError(Code.BAD_PATH))
        _log(answer, sequence_id="", elapsed_s=0)
        response = self._response(answer)
        if request.method == "CONNECT":
            response.status_code = HTTPStatus.NOT_FOUND  # 200 would open a tunnel (RFC 9110, section 9.3.6)
        return response

    async def faults(self, request: Request) -> Response:
        """Set, show or clear the faults; 400 for a body that is no fault."""
        if request.method == "DELETE":
            self._faults.clear()
        if request.method == "POST":
            try:
                with self._bodies.room() as room:
                    self._faults.set(Order.from_json(await room.receive(request)))
            except ValueError as error:
                return PlainTextResponse(f"{error}\n", status_code=400)
            except (RefusedError, ClientDisconnect):
                return PlainTextResponse("the body is too large, or it did not arrive\n", status_code=400)
        return JSONResponse(self._faults.describe())


def _log(answer: Answer, sequence_id: str, elapsed_s: float) -> None:
    """One line a call: ids, code and time. The caller chose the sequence_id, so it must not be able to forge a line."""
    shown = "".join(letter if letter.isalnum() or letter in "-_.:" else "?" for letter in sequence_id[:80])
    ids = f"request_id={answer.body['request_id']} sequence_id={shown}"
    log.info("call %s code=%s ms=%d", ids, answer.code, elapsed_s * 1000)
