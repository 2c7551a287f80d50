"""The parameters of a call, out of the query string and a multipart or urlencoded body (API text, section 2).

Names are exact, and what bears another one is ignored. An empty parameter is one that was not sent. What is sent
twice, in the query string and the body or twice in one, must be the same both times.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from hmt_pass.codes import Code
from hmt_pass.endpoint import extension
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.encodings import multipart, urlencoded
from hmt_pass.endpoint.extension import Extension
from hmt_pass.permit import Flag

MAX_BODY_BYTES = 24 * 1024 * 1024
"""Above any allowed call: 5 MB in base64 with every other character escaped is 21 MB."""

MAX_PARAMETERS = 64
"""In the query string, and again in the body."""

SOURCES = ("image_id", "file", "image_base64", "url")
"""What brings the image, in the API text's order of precedence."""

MAX_CONTENT_TYPE_BYTES = 1024
"""Above any that a library writes: a boundary has at most 70 characters (RFC 2046)."""

MULTIPART, URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"

MAX_TEXT_BYTES: Mapping[str, int] = {
    "api_id": 1024,
    "sequence_id": 1024,
    "timestamp": 1024,
    "sign": 1024,
    "hmt_flag": 1024,
    "image_id": 1024,
    "url": 8 * 1024,  # a presigned address with a session token has 2 KB
    "image_base64": MAX_BODY_BYTES,
    extension.PARAMETER: 1024,
}
"""The parameters that are texts, and how long each may be in UTF-8."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """A call's parameters: texts by their wire name, and the bytes of `file`; None when no file was sent."""

    texts: Mapping[str, str] = field(repr=False)
    file: bytes | None = field(repr=False, default=None)

    def get(self, name: str) -> str:
        """The text of a parameter, empty when it was not sent."""
        return self.texts.get(name, "")

    def require(self, name: str) -> str:
        """The text of a parameter that a call cannot do without. Raises RefusedError 1002."""
        if not self.get(name):
            raise RefusedError(Code.BAD_REQUEST, f"{name} is missing")
        return self.get(name)

    @property
    def source(self) -> str:
        """The name of the parameter that brings the image, "" when there is none; an empty file only if it is alone."""
        sent = (name for name in SOURCES if (self.file if name == "file" else self.get(name)))
        return next(sent, "file" if self.file is not None else "")

    def require_source(self) -> str:
        """`source`. Raises RefusedError 1002 when there is none."""
        if not self.source:
            raise RefusedError(Code.BAD_REQUEST, f"one of {', '.join(SOURCES)} is required")
        return self.source

    @property
    def flag(self) -> Flag:
        """`hmt_flag`, 0 when it was not sent. Raises RefusedError 1002 for anything but 0, 1, 2, 3."""
        text = self.get("hmt_flag") or "0"
        if text not in {str(int(flag)) for flag in Flag}:
            raise RefusedError(Code.BAD_REQUEST, "hmt_flag must be 0, 1, 2 or 3")
        return Flag(int(text))

    @property
    def extension(self) -> Extension | None:
        """What to say beyond the paid service; None when it was not asked for. Raises RefusedError 1002."""
        text = self.get(extension.PARAMETER)
        if text and text not in set(Extension):
            raise RefusedError(Code.BAD_REQUEST, f"{extension.PARAMETER} must be {' or '.join(Extension)}")
        return Extension(text) if text else None


def parse(query: bytes, content_type: str, body: bytes) -> Parameters:
    """The parameters of a request. An empty body needs no Content-Type, another one without it is urlencoded.

    Raises RefusedError: 1001 for a text that is not UTF-8, 1002 for a body that its content type does not describe, for
    a parameter that is too long or sent twice with different values, and for too many.
    """
    sent = chain(urlencoded.pairs(query, MAX_PARAMETERS), _body_pairs(content_type, body))
    try:
        return _collected(sent)
    except UnicodeDecodeError:
        raise RefusedError(Code.NOT_UTF8) from None


def _body_pairs(content_type: str, body: bytes) -> Iterable[tuple[bytes, bytes]]:
    if not body:
        return ()
    if len(content_type) > MAX_CONTENT_TYPE_BYTES:
        raise RefusedError(Code.BAD_REQUEST, f"Content-Type is longer than {MAX_CONTENT_TYPE_BYTES} bytes")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return multipart.parts(content_type, body, MAX_PARAMETERS)
    if kind in {URLENCODED, ""}:
        return urlencoded.pairs(body, MAX_PARAMETERS)
    advice = f"send the parameters as form fields with Content-Type {MULTIPART} or {URLENCODED}; JSON is not read"
    raise RefusedError(Code.BAD_REQUEST, advice)


def _collected(sent: Iterator[tuple[bytes, bytes]]) -> Parameters:
    texts: dict[str, str] = {}
    file: bytes | None = None
    for raw_name, value in sent:
        name = raw_name.decode("utf-8")
        if name == "file":
            _require_same(name, file, value)
            file = file or value
            continue
        if value and name in MAX_TEXT_BYTES:
            _require_short(name, value)
            text = value.decode("utf-8")
            _require_same(name, texts.get(name), text)
            texts[name] = text
    return Parameters(texts, file)


def _require_same(name: str, first: str | bytes | None, second: str | bytes) -> None:
    if first and second and first != second:
        raise RefusedError(Code.BAD_REQUEST, f"{name} was sent twice with different values")


def _require_short(name: str, value: bytes) -> None:
    if len(value) > MAX_TEXT_BYTES[name]:
        raise RefusedError(Code.BAD_REQUEST, f"{name} is longer than {MAX_TEXT_BYTES[name]} bytes")
