"""What comes in the place of an answer when something between caller and endpoint is broken: the fault `garbage`."""

import json
from collections.abc import Callable, Mapping
from enum import StrEnum

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response


class Kind(StrEnum):
    """The kinds of garbage, by the value of the fault."""

    HTML = "html"
    """A gateway's HTML page with HTTP 502."""
    GATEWAY = "gateway"
    """A gateway's JSON object with HTTP 503: no `code` in it."""
    HALF = "half"
    """The first half of the answer, with a header that fits that half."""
    TEXT = "text"
    """A sentence, with the HTTP status of the answer."""
    EMPTY = "empty"
    """No byte, and yet a JSON header."""
    LIST = "list"
    """JSON that is no object: the answer in a list."""
    BYTES = "bytes"
    """The answer in GB18030, which a service behind an old gateway may speak: no UTF-8."""


def instead_of(answer: Response, kind: Kind) -> Response:
    """The garbage of this kind in the place of `answer`."""
    return _MAKERS[kind](answer)


def _page(_: Response) -> Response:
    title = "502 Bad Gateway"
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"
    return HTMLResponse(page, 502)


def _as_json(body: bytes, answer: Response) -> Response:
    return Response(body, answer.status_code, media_type="application/json")


def _half(answer: Response) -> Response:
    return _as_json(bytes(answer.body[: len(answer.body) // 2]), answer)


def _gb18030(answer: Response) -> Response:
    text = bytes(answer.body).decode()
    # An answer without a Chinese character would be UTF-8 in GB18030 too; this byte is neither.
    return _as_json(text.encode("gb18030") + b"\xff", answer)


_MAKERS: Mapping[Kind, Callable[[Response], Response]] = {
    Kind.HTML: _page,
    Kind.GATEWAY: lambda _: JSONResponse({"message": "Service Unavailable"}, 503),
    Kind.HALF: _half,
    Kind.TEXT: lambda answer: PlainTextResponse("the service is busy\n", answer.status_code),
    Kind.EMPTY: lambda answer: _as_json(b"", answer),
    Kind.LIST: lambda answer: JSONResponse([json.loads(bytes(answer.body))], answer.status_code),
    Kind.BYTES: _gb18030,
}
