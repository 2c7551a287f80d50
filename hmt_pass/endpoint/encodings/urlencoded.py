"""The pairs of a query string or an application/x-www-form-urlencoded body, as bytes."""

import binascii
import re
from collections.abc import Iterator

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError

# In pieces, so that the steps of the way need little memory.
_PIECE_BYTES = 64 * 1024
_ESCAPE_BYTES = 3
_LONE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def pairs(encoded: bytes, max_pairs: int) -> Iterator[tuple[bytes, bytes]]:
    """Name and value of each pair, unescaped, `+` as a space; a name without `=` has an empty value.

    Raises RefusedError 1002 for more than `max_pairs`.
    """
    if encoded.count(b"&") >= max_pairs:
        raise RefusedError(Code.BAD_REQUEST, f"more than {max_pairs} parameters were sent")
    start = 0
    while start <= len(encoded):
        end = encoded.find(b"&", start)
        end = len(encoded) if end < 0 else end
        equals = encoded.find(b"=", start, end)
        equals = end if equals < 0 else equals
        if start < end:
            yield _unescaped(encoded, start, equals), _unescaped(encoded, equals + 1, end)
        start = end + 1


def _unescaped(encoded: bytes, start: int, end: int) -> bytes:
    plain = bytearray()
    while start < end:
        stop = min(start + _PIECE_BYTES, end)
        if stop < end:
            # An escape that the cut would go through belongs to the next piece.
            escape = encoded.rfind(b"%", stop - _ESCAPE_BYTES + 1, stop)
            stop = escape if escape >= 0 else stop
        plain += _unescaped_piece(encoded[start:stop])
        start = stop
    return bytes(plain)


def _unescaped_piece(encoded: bytes) -> bytes:
    """The piece unescaped, a percent sign that begins no escape as it is.

    urllib makes three objects of each escape: seconds, and thirty times the size, for an image in base64 (measured).
    Quoted-printable has the same escapes after another sign, and the standard library decodes it in C.
    """
    whole = _LONE_PERCENT.sub(b"%25", encoded.replace(b"+", b" "))
    return binascii.a2b_qp(whole.replace(b"=", b"%3D").replace(b"%", b"="))
