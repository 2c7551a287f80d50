"""What a body in chunks costs beside its bytes: h11 takes some 10 us for a chunk, be it of one byte."""

PIECE_BYTES = 8 * 1024
"""So much is read before what it cost is looked at."""

_FREE_BYTES = 64 * 1024
_SHARE = 8  # one byte of framing for so many of the body: chunks of 48 bytes, base64 sent line by line


class Framing:
    """Counts the bytes of one request's body, and those between its chunks."""

    def __init__(self) -> None:
        self._body_bytes = self._between_bytes = 0

    def count(self, wire_bytes: int, body_bytes: int) -> None:
        """So many bytes came, and so many of them are the body's."""
        self._body_bytes += body_bytes
        self._between_bytes += wire_bytes - body_bytes

    @property
    def is_excessive(self) -> bool:
        """Whether the chunks are so small that to read them is work in vain."""
        return self._between_bytes > _FREE_BYTES + self._body_bytes // _SHARE
