"""Images that were sent before, kept in memory under their `image_id`."""

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable

MAX_BYTES = 64 * 1024 * 1024
LIFETIME_S = 3600.0

_ENTRY_BYTES = 640
"""What an image costs beside its own bytes: id, keys and table (measured: 600), so that tiny images are bounded too."""


class ImageStore:
    """Bytes by account and image_id, bounded in bytes and lifetime; the oldest go first. Safe to share between threads.

    `max_bytes` covers images and what keeping them costs. An image that is larger by itself is not kept and pushes
    no other out. Nothing is written to disk.
    """

    def __init__(
        self,
        max_bytes: int = MAX_BYTES,
        lifetime_s: float = LIFETIME_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes, self._lifetime_s, self._now_s = max_bytes, lifetime_s, now_s
        self._images: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def put(self, api_id: str, image: bytes) -> str:
        """Keep an account's `image` and return its id, 32 hex digits."""
        image_id = uuid.uuid4().hex
        if _cost_bytes(image) <= self._max_bytes:
            with self._lock:
                self._images[api_id, image_id] = (self._now_s() + self._lifetime_s, image)
                self._bytes += _cost_bytes(image)
                self._forget()
        return image_id

    def get(self, api_id: str, image_id: str) -> bytes | None:
        """The account's image under this id; None when it was never here, is here no longer or is another account's."""
        with self._lock:
            self._forget()
            return self._images.get((api_id, image_id), (0.0, None))[1]

    def _forget(self) -> None:
        now_s = self._now_s()
        while self._images:
            key, (ends_at_s, image) = next(iter(self._images.items()))
            if ends_at_s > now_s and self._bytes <= self._max_bytes:
                return
            del self._images[key]
            self._bytes -= _cost_bytes(image)


def _cost_bytes(image: bytes) -> int:
    return len(image) + _ENTRY_BYTES
