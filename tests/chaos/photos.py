"""Small photos by the thousand, each another image, put into S3 once a session: a fresh Redis does not know them."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

from local.s3 import BUCKET, S3Server

SIDE_PX = 16


def png(number: int) -> bytes:
    """A picture of 16 x 16 px that no other number has."""
    row = b"\x00" + number.to_bytes(3, "big") * SIDE_PX
    head = struct.pack(">IIBBBBB", SIDE_PX, SIDE_PX, 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(row * SIDE_PX, 1)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


class Photos:
    """All photos of a session; `references(n)` gives n of them, the same ones each time."""

    def __init__(self, s3: S3Server) -> None:
        self._s3 = s3
        self._count = 0

    def references(self, count: int) -> list[str]:
        """`s3://` references of that many different photos."""
        missing = range(self._count, count)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: self.put(_key(number), png(number)), missing))
        self._count = max(self._count, count)
        return [f"s3://{BUCKET}/{_key(number)}" for number in range(count)]

    def put(self, key: str, body: bytes) -> str:
        """Put one object; returns its reference."""
        self._s3.client.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"


def _key(number: int) -> str:
    return f"photos/{number:05d}.png"
