"""What of a photo goes to the endpoint: the one argument of `Client.recognize` that HMT_PASS_SEND chooses."""

import base64
from dataclasses import replace
from typing import TypedDict, cast

from hmt_pass import image
from worker.settings import Send
from worker.storage import Photo, Storage

PATIENCE_S = 15.0  # for its turn to be repaired: a large picture takes 3 s, a turned one of a phone 0.3


class Source(TypedDict, total=False):
    """Keyword arguments of `Client.recognize`: exactly one of them is set."""

    image: bytes
    image_base64: str
    url: str


class Sender:
    """Checks, repairs and wraps photos as the setting says."""

    def __init__(self, send: Send, storage: Storage) -> None:
        self._send = send
        self._storage = storage

    def source(self, photo: Photo) -> Source:
        """The argument for one photo, whose own bytes are let go. Raises ImageRejectedError and NoRoomError.

        A presigned URL gives what lies in S3 when the endpoint asks. So a photo that had to be repaired goes as a file,
        and so does one whose bucket keeps no versions: it could be overwritten between our look and the endpoint's.
        """
        source = self._source(photo)
        photo.let_go(sum(map(len, cast("dict[str, bytes | str]", source).values())))
        return source

    def _source(self, photo: Photo) -> Source:
        body = image.prepare(photo.body, PATIENCE_S)
        if self._send is Send.URL and photo.version_id and body == photo.body:
            return {"url": self._storage.presign(replace(photo.image, version_id=photo.version_id))}
        return {"image_base64": base64.b64encode(body).decode()} if self._send is Send.BASE64 else {"image": body}
