import base64
import hashlib
import io
from dataclasses import replace
from typing import Any, cast

import pytest
from fakes import BUCKET, FakeStorage, jpeg
from PIL import Image

from hmt_pass.errors import ImageRejectedError
from hmt_pass.image import check
from hmt_pass.job import ImageRef
from hmt_pass.room import Room
from worker.sending import Sender
from worker.settings import Send
from worker.storage import Photo


def sender(send: Send) -> Sender:
    return Sender(send, cast("Any", FakeStorage()))


def photo(body: bytes) -> Photo:
    return Photo(ImageRef(BUCKET, "a.jpg"), body, hashlib.sha256(body).hexdigest(), "etag", None)


def webp() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "navy").save(file, "WEBP")
    return file.getvalue()


def test_a_photo_goes_as_a_file_byte_for_byte() -> None:
    assert {"image": jpeg()} == sender(Send.FILE).source(photo(jpeg()))


def test_a_photo_goes_in_base64_when_told_so() -> None:
    assert {"image_base64": base64.b64encode(jpeg()).decode()} == sender(Send.BASE64).source(photo(jpeg()))


def test_a_photo_goes_as_a_presigned_url_when_told_so() -> None:
    source = sender(Send.URL).source(replace(photo(jpeg()), version_id="v1"))
    assert ["url"] == list(source)
    assert source["url"].startswith(f"https://s3.example/{BUCKET}/a.jpg")
    assert "X-Amz-Signature=" in source["url"]


def test_a_photo_that_could_be_overwritten_meanwhile_goes_as_a_file() -> None:
    assert {"image": jpeg()} == sender(Send.URL).source(photo(jpeg()))


def test_a_presigned_url_gives_the_very_version_that_was_read() -> None:
    [url] = sender(Send.URL).source(replace(photo(jpeg()), version_id="v7")).values()
    assert "versionId=v7" in str(url)


@pytest.mark.parametrize("send", [Send.FILE, Send.URL])
def test_a_photo_that_had_to_be_repaired_goes_as_a_file(send: Send) -> None:
    [body] = sender(send).source(photo(webp())).values()
    assert isinstance(body, bytes)
    assert "JPEG" == check(body).format


def test_a_photo_that_nobody_can_repair_is_rejected() -> None:
    with pytest.raises(ImageRejectedError, match="1015"):
        sender(Send.FILE).source(photo(b"%PDF-1.7"))


@pytest.mark.parametrize("send", Send)
def test_a_photo_is_let_go_and_takes_the_room_of_what_is_sent(send: Send) -> None:
    room = Room(10**6)
    given = replace(photo(webp() + bytes(10**5)), version_id="v1", place=room.take(10**6, 0.0))
    source = sender(send).source(given)
    assert b"" == given.body
    assert given.place is not None
    assert [given.place.units] == [len(value) for value in source.values() if isinstance(value, bytes | str)]
