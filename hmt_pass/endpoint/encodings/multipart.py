"""The parts of a multipart/form-data body (RFC 7578, RFC 2046), as bytes."""

import binascii
import logging
import quopri
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError

if TYPE_CHECKING:  # the library defines it for type checkers alone
    from python_multipart.multipart import MultipartCallbacks

# One `;name=value` of a header. The library's reader takes a backslash before a quote for an escape, but in GBK it is
# the second half of a character, and a file name such as `許` would swallow what follows. Here a quoted value ends at
# the first quote that ends the header or stands before a semicolon. Without such a quote it is the rest of the header:
# to look for one in vain, and again from the next semicolon, would be quadratic work.
_OPTION = re.compile(rb';[ \t]*([^;="\s]+)[ \t]*=[ \t]*(?:"(.*?)(?:"(?=[ \t]*(?:;|\Z))|\Z)|([^;"]*))', re.DOTALL)

# The parser would log bytes of the body before it raises.
_SILENT = logging.getLogger(f"{__name__}.parser")
_SILENT.disabled = True

_DECODERS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"": bytes,
    b"7bit": bytes,
    b"8bit": bytes,
    b"binary": bytes,
    b"base64": binascii.a2b_base64,
    b"quoted-printable": quopri.decodestring,
}


def parts(content_type: str, body: bytes, max_parts: int) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each part, one copy of a content at a time; file names and types are not looked at.

    Raises RefusedError 1002 for a body that is not what its `content_type` says, or has more than `max_parts` parts.
    """
    boundary = _option(content_type.encode("latin-1", "replace"), b"boundary")
    if not boundary:
        raise _refused("Content-Type has no boundary: let the HTTP library write this header")
    # Counted before, because the parser goes through false boundaries byte by byte: 24 MB of them are seconds of work.
    if body.count(b"\r\n--" + boundary) > max_parts:
        raise _refused(f"the body has more than {max_parts} parts")
    collected = _collect(boundary, body)
    return (part.read(body) for part in collected.parts)


def _collect(boundary: bytes, body: bytes) -> "_Collected":
    collected = _Collected()
    callbacks: MultipartCallbacks = {
        "on_part_begin": collected.begin,
        "on_header_field": collected.header_name,
        "on_header_value": collected.header_value,
        "on_part_data": collected.content,
        "on_end": collected.end,
    }
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.logger = _SILENT
        parser.write(body)
    except FormParserError:
        raise _refused("the body is not multipart/form-data with the boundary of its Content-Type") from None
    if not collected.is_whole:
        raise _refused("the body ends before its closing boundary: is Content-Length counted in bytes?")
    return collected


@dataclass(slots=True)
class _Part:
    """Where a part's content lies in the body, and its headers."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    start: int = 0
    end: int = 0

    def read(self, body: bytes) -> tuple[bytes, bytes]:
        name = _option(self.headers.get(b"content-disposition", b""), b"name")
        if name is None:
            raise _refused("a part of the body has no Content-Disposition with a name")
        encoding = self.headers.get(b"content-transfer-encoding", b"").strip().lower()
        if encoding not in _DECODERS:
            raise _refused("the Content-Transfer-Encoding of a part is not known: send its bytes as they are")
        try:
            return name, _DECODERS[encoding](body[self.start : self.end])
        except binascii.Error:
            raise _refused("a part of the body is not in the base64 that its Content-Transfer-Encoding names") from None


class _Collected:
    """The parts that a parser has come across; it is fed the body in one piece, so every mark lies in that."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.is_whole = False
        self._header = b""

    def begin(self) -> None:
        """A part begins."""
        self.parts.append(_Part())

    def header_name(self, data: bytes, start: int, end: int) -> None:
        """One of its headers."""
        self._header = data[start:end].lower()

    def header_value(self, data: bytes, start: int, end: int) -> None:
        """The value of that header."""
        self.parts[-1].headers[self._header] = data[start:end]

    def content(self, _: bytes, start: int, end: int) -> None:
        """Its content."""
        self.parts[-1].start, self.parts[-1].end = start, end

    def end(self) -> None:
        """The closing boundary."""
        self.is_whole = True


def _option(header: bytes, wanted: bytes) -> bytes | None:
    """The value of the first option of that name in a header; None when it has none."""
    for name, quoted, plain in _OPTION.findall(header):
        if name.lower() == wanted:
            return bytes(quoted or plain.strip())
    return None


def _refused(reason: str) -> RefusedError:
    return RefusedError(Code.BAD_REQUEST, reason)
