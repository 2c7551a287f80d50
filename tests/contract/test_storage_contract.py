"""What worker.storage promises, over moto's server and over the fake; and how the real one takes a server's faults."""

import hashlib
import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fakes import S3, VERSIONED

from hmt_pass.client import MAX_REPLY_BYTES
from hmt_pass.errors import (
    DocumentError,
    HmtPassError,
    ImageRejectedError,
    NoRoomError,
    ObjectChangedError,
    ObjectDeniedError,
    ObjectMissingError,
    StorageError,
)
from hmt_pass.job import ImageRef, Job
from hmt_pass.permit import Reply
from hmt_pass.room import Room
from local.s3 import BUCKET, S3Server
from worker import documents
from worker.storage import Storage

KEYS = [
    "a.jpg",
    "2026/with space.jpg",
    "往来港澳通行证/证件.jpg",
    "a//b.jpg",
    "/leading.jpg",
    "a%2Fb.jpg",
    "a+b.jpg",
    "a#b.jpg",
    "a?b=c&d.jpg",
    "a'b\"(c)[d]{e}~^`<f>|\\g.jpg",
    "a/../b/./c.jpg",
    "trailing/",
    "emoji-🪪.jpg",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_photo_is_read_as_it_was_uploaded_whatever_its_key(s3_side: S3, key: str) -> None:
    body = f"the photo under {key}".encode()
    etag = s3_side.upload(BUCKET, key, body)
    photo = s3_side.storage.get(ImageRef.parse(f"s3://{BUCKET}/{key}"), 1000)
    assert (body, etag, None) == (photo.body, photo.etag, photo.version_id)
    assert (hashlib.sha256(body).hexdigest(), key) == (photo.sha256, photo.image.key)


@pytest.mark.parametrize("key", KEYS)
def test_a_document_is_read_back_as_it_was_written_whatever_its_key(s3_side: S3, key: str) -> None:
    document = {"permit": {"nameChn": "欧阳试样"}, "key": key}
    address = s3_side.storage.put_json(BUCKET, key, document)
    assert f"s3://{BUCKET}/{key}" == address
    assert document == s3_side.storage.get_json(address)


def test_a_document_replaces_the_one_before(s3_side: S3) -> None:
    s3_side.storage.put_json(BUCKET, "hmt-pass/a.json", {"run": 1})
    address = s3_side.storage.put_json(BUCKET, "hmt-pass/a.json", {"run": 2})
    assert {"run": 2} == s3_side.storage.get_json(address)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b" " * 101, "over 100 bytes"),
        (b"\xff\xfe", "no UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "no UTF-8"),
        (b"<html>", "no JSON"),
        (b"", "no JSON"),
        (b"[" * 100, "no JSON"),
        (b"[]", "no JSON object"),
    ],
)
def test_what_is_no_document_is_said_to_be_none(s3_side: S3, body: bytes, problem: str) -> None:
    s3_side.upload(BUCKET, "damaged.json", body)
    with pytest.raises(DocumentError, match=rf"damaged\.json: .*{problem}"):
        s3_side.storage.get_json(f"s3://{BUCKET}/damaged.json", max_bytes=100)


LARGEST = {
    "numbers that are written out": b"[" + b"1e15," * 199_900 + b"1]",
    "nested": b"[" * 400 + b"1," * 499_000 + b"1" + b"]" * 400,
    "what Python escapes": '["{}"]'.format("\x7f" * 999_500).encode(),
}


@pytest.mark.parametrize("body", LARGEST.values(), ids=LARGEST)
def test_the_largest_answer_that_the_client_takes_is_read_back_with_its_attempts(s3_side: S3, body: bytes) -> None:
    answer = b'{"code": "0000", "data": {"nameChn": %s, "more": %s}}'
    sides = answer % (body, b"1"), answer % (b"1", body)
    attempts = [{"attempt": number, "request_id": "1" * MAX_REPLY_BYTES} for number in range(8)]
    for text in sides:
        assert 0.99 * MAX_REPLY_BYTES < len(text) <= MAX_REPLY_BYTES
        job = Job.create(f"s3://{BUCKET}/a.jpg")
        document = documents.recognized(job, {}, Reply.from_wire(json.loads(text)), attempts, "now")
        address = s3_side.storage.put_json(BUCKET, "largest.json", document)
        assert document == s3_side.storage.get_json(address)


def test_a_photo_that_still_has_its_etag_is_read_and_one_that_has_not_is_refused(s3_side: S3) -> None:
    image = ImageRef(BUCKET, "pinned.jpg")
    etag = s3_side.upload(BUCKET, "pinned.jpg", b"one")
    assert b"one" == s3_side.storage.get(image, 1000, etag).body
    s3_side.upload(BUCKET, "pinned.jpg", b"two")
    with pytest.raises(ObjectChangedError):
        s3_side.storage.get(image, 1000, etag)


def test_a_version_is_read_although_there_is_a_newer_one(s3_side: S3) -> None:
    s3_side.upload(VERSIONED, "a.jpg", b"one")
    first = s3_side.storage.get(ImageRef(VERSIONED, "a.jpg"), 1000)
    s3_side.upload(VERSIONED, "a.jpg", b"two")
    newest = s3_side.storage.get(ImageRef(VERSIONED, "a.jpg"), 1000)
    assert (b"one", b"two") == (first.body, newest.body)
    assert first.version_id not in {None, newest.version_id}
    assert b"one" == s3_side.storage.get(ImageRef(VERSIONED, "a.jpg", first.version_id), 1000).body


@pytest.mark.parametrize(
    "image",
    [ImageRef(BUCKET, "none.jpg"), ImageRef("no-such-bucket", "a.jpg"), ImageRef(VERSIONED, "a.jpg", "no-version")],
    ids=str,
)
def test_what_is_not_there_is_missing_for_whoever_reads_and_whoever_only_looks(s3_side: S3, image: ImageRef) -> None:
    s3_side.upload(VERSIONED, "a.jpg", b"one")
    with pytest.raises(ObjectMissingError, match=re.escape(str(image))):
        s3_side.storage.get(image, 1000)
    with pytest.raises(ObjectMissingError, match=re.escape(str(image))):
        s3_side.storage.check_image(image)


def test_an_image_is_looked_for_without_being_read(s3_side: S3) -> None:
    image = ImageRef(BUCKET, "looked-for.jpg")
    etag = s3_side.upload(BUCKET, image.key, b"one")
    s3_side.storage.check_image(image)
    s3_side.storage.check_image(image, etag)
    with pytest.raises(ObjectChangedError, match=r"looked-for\.jpg"):
        s3_side.storage.check_image(image, "5a" * 16)


def test_lines_are_kept_as_they_are(s3_side: S3) -> None:
    text = '{"reason": "余额不足"}\n{"reason": "\ud83e"}\n'
    address = s3_side.storage.put_lines(BUCKET, "archive/a.jsonl", text)
    read = s3_side.storage.get(ImageRef.parse(address), 1000).body
    assert '{"reason": "余额不足"}\n{"reason": "\\ud83e"}\n'.encode() == read


def test_an_object_up_to_the_limit_is_read_and_one_byte_more_is_rejected(s3_side: S3) -> None:
    s3_side.upload(BUCKET, "large.jpg", bytes(100))
    image = ImageRef(BUCKET, "large.jpg")
    assert 100 == len(s3_side.storage.get(image, 100).body)
    with pytest.raises(ImageRejectedError, match="1013 the object is over 99 bytes"):
        s3_side.storage.get(image, 99)


def test_an_empty_object_is_an_empty_photo(s3_side: S3) -> None:
    s3_side.upload(BUCKET, "empty.jpg", b"")
    assert b"" == s3_side.storage.get(ImageRef(BUCKET, "empty.jpg"), 1000).body


def test_a_result_whose_bucket_is_missing_waits_for_somebody_to_create_it(s3_side: S3) -> None:
    with pytest.raises(StorageError, match="s3://no-such-bucket"):
        s3_side.storage.put_json("no-such-bucket", "a.json", {})


def test_a_bucket_is_checked(s3_side: S3) -> None:
    s3_side.storage.check(BUCKET)
    with pytest.raises(ObjectMissingError, match="s3://no-such-bucket"):
        s3_side.storage.check("no-such-bucket")


def test_credentials_are_found(s3_side: S3) -> None:
    assert s3_side.storage.has_credentials()


def test_a_presigned_url_is_of_one_object_and_signed(s3_side: S3) -> None:
    url = s3_side.storage.presign(ImageRef(BUCKET, "2026/a.jpg"))
    assert re.match(rf"https?://.*{BUCKET}.*2026/a\.jpg\?.*(Signature|X-Amz-Signature)=", url)


@pytest.mark.parametrize("key", KEYS)
def test_a_presigned_url_gives_the_object_whatever_its_key(s3: S3Server, real_storage: Storage, key: str) -> None:
    s3.client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(real_storage.presign(ImageRef(BUCKET, key))) as answer:
        assert key.encode() == answer.read()


def test_a_presigned_url_lives_for_five_minutes(real_storage: Storage) -> None:
    url = real_storage.presign(ImageRef(BUCKET, "a.jpg"))
    lifetime = re.search(r"X-Amz-Expires=(\d+)", url)
    expires = re.search(r"[?&]Expires=(\d+)", url)
    lifetime_s = int(lifetime[1]) if lifetime else int(expires[1] if expires else 0) - time.time()
    assert 295 <= lifetime_s <= 301


def test_no_credentials_are_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    nobody = Storage(5.0, 4)
    assert not nobody.has_credentials()
    with pytest.raises(StorageError, match="NoCredentialsError"):
        nobody.get(ImageRef(BUCKET, "a.jpg"), 1000)


Answer = Callable[[BaseHTTPRequestHandler], None]


class FaultyS3(ThreadingHTTPServer):
    """Answers every request as `answer` does."""

    answer: Answer


class Handler(BaseHTTPRequestHandler):
    server: FaultyS3

    def do_GET(self) -> None:
        self.server.answer(self)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def faulty() -> Iterator[tuple[FaultyS3, Storage]]:
    """A server that can be told what to answer, and a Storage of 0.3 s on it."""
    with FaultyS3(("127.0.0.1", 0), Handler) as server, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "local")
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server, Storage(0.3, 1)
        server.shutdown()
        thread.join()


def error_page(status: int, name: str) -> Answer:
    body = f"<Error><Code>{name}</Code><Message>secret-message</Message></Error>".encode()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    ("status", "name", "expected"),
    [
        (400, "ExpiredToken", StorageError),
        (400, "InvalidArgument", ObjectMissingError),  # a version id that S3 never gave
        (401, "Unauthorized", ObjectDeniedError),
        (403, "AccessDenied", ObjectDeniedError),
        (404, "NoSuchKey", ObjectMissingError),
        (404, "NoSuchVersion", ObjectMissingError),
        (405, "MethodNotAllowed", ObjectMissingError),  # the version is a delete marker
        (412, "PreconditionFailed", ObjectChangedError),
        (500, "InternalError", StorageError),
        (503, "SlowDown", StorageError),
    ],
)
def test_what_s3_answers_is_one_of_our_errors(
    faulty: tuple[FaultyS3, Storage], status: int, name: str, expected: type[HmtPassError]
) -> None:
    server, storage = faulty
    server.answer = error_page(status, name)
    with pytest.raises(HmtPassError) as caught:
        storage.get(ImageRef(BUCKET, "a.jpg", "v1"), 1000)
    assert expected is type(caught.value)
    assert f"S3 answered {status} {name}" in str(caught.value)
    assert "secret-message" not in str(caught.value)


def dripping(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(5 << 20))
    request.send_header("ETag", '"e"')
    request.end_headers()
    with suppress(OSError):  # the reader gives up
        for _ in range(20):
            request.wfile.write(bytes(1 << 18))
            time.sleep(0.1)


def cut_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.send_header("ETag", '"e"')
    request.end_headers()
    request.wfile.write(b"half")


@pytest.mark.parametrize(("answer", "problem"), [(dripping, "took over 0.3 s"), (cut_off, BUCKET)])
def test_a_body_that_drips_or_ends_early_is_an_outage(
    faulty: tuple[FaultyS3, Storage], answer: Answer, problem: str
) -> None:
    server, storage = faulty
    server.answer = answer
    with pytest.raises(StorageError, match=problem):
        storage.get(ImageRef(BUCKET, "a.jpg"), 10 << 20)


def gives(body: bytes) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("ETag", '"e"')
        request.end_headers()
        request.wfile.write(body)

    return answer


def test_a_photo_waits_until_there_is_room_for_it_and_a_document_does_not(
    faulty: tuple[FaultyS3, Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, storage = faulty
    server.answer = gives(b'{"a": 1}')
    room = Room(10)
    monkeypatch.setattr(storage, "_room", room)
    image = ImageRef(BUCKET, "a.jpg")
    with storage.get(image, 1000) as photo:
        with pytest.raises(NoRoomError):
            storage.get(image, 1000)
        assert {"a": 1} == storage.get_json(str(image))
        photo.let_go(2)
        with storage.get(image, 1000):
            assert b"" == photo.body
    room.take(10, 0.0)


def test_what_cannot_be_read_takes_no_room(faulty: tuple[FaultyS3, Storage], monkeypatch: pytest.MonkeyPatch) -> None:
    server, storage = faulty
    server.answer = cut_off
    room = Room(10)
    monkeypatch.setattr(storage, "_room", room)
    with pytest.raises(StorageError):
        storage.get(ImageRef(BUCKET, "a.jpg"), 1000)
    room.take(10, 0.0)


def test_a_server_that_is_not_there_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(StorageError, match=f"s3://{BUCKET}/a.jpg: EndpointConnectionError"):
        Storage(1.0, 1).put_json(BUCKET, "a.jpg", {})


def test_a_document_is_text_that_a_person_can_read(s3: S3Server, real_storage: Storage) -> None:
    real_storage.put_json(BUCKET, "readable.json", {"nameChn": "欧阳试样"})
    answer = s3.client.get_object(Bucket=BUCKET, Key="readable.json")
    text = answer["Body"].read().decode()
    assert ("application/json", {"nameChn": "欧阳试样"}) == (answer["ContentType"], json.loads(text))
    assert "欧阳试样" in text
