"""The request signature, for both sides of the wire.

API text, section 2: sign = SHA256(api_id + api_secret + timestamp), lower-case hex over UTF-8. It does not cover the
image, so a captured one can be replayed with another image while its timestamp is accepted: keep it out of logs.
"""

import hashlib
import hmac
import time
from enum import StrEnum


class TimestampUnit(StrEnum):
    """Unit of the `timestamp` parameter; the API text leaves it open."""

    MILLISECONDS = "ms"
    SECONDS = "s"


def timestamp(unit: TimestampUnit = TimestampUnit.MILLISECONDS, now_s: float | None = None) -> str:
    """`now_s` (Unix time, default: now) as the decimal string that goes on the wire."""
    seconds = time.time() if now_s is None else now_s
    return str(int(seconds * 1000) if unit is TimestampUnit.MILLISECONDS else int(seconds))


def sign(api_id: str, api_secret: str, timestamp: str) -> str:
    """The 64 lower-case hex digits of SHA-256 over the three strings joined."""
    return hashlib.sha256(f"{api_id}{api_secret}{timestamp}".encode()).hexdigest()


def verify(api_id: str, api_secret: str, timestamp: str, signature: str) -> bool:
    """Whether `signature` is ours, compared in constant time."""
    return hmac.compare_digest(sign(api_id, api_secret, timestamp).encode(), signature.encode())
