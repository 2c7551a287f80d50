"""S3, for the worker: photos in, result documents out. The only place that knows boto3.

One client for all threads of a process: boto3's clients are thread-safe, and one a thread is what eats the memory.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody
from urllib3.exceptions import HTTPError

from hmt_pass.codes import Code
from hmt_pass.errors import (
    DocumentError,
    HmtPassError,
    ImageRejectedError,
    ObjectChangedError,
    ObjectDeniedError,
    ObjectMissingError,
    SettingsError,
    StorageError,
)
from hmt_pass.job import ImageRef
from hmt_pass.room import Place, Room

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, GetObjectRequestTypeDef

CONNECT_TIMEOUT_S = 3.0
TRIES = 2  # a second try inside boto3 for a lost connection; everything longer is a retry of the job
CHUNK_BYTES = 1 << 20
PRESIGNED_FOR_S = 300
# A reply of client.MAX_REPLY_BYTES takes up to five times as much in its document (1e15 is written out), and may leave
# its code and request_id in each of eight attempts.
MAX_DOCUMENT_BYTES = 16 << 20
MAX_TEXT_BYTES = 64 << 20
# Each byte of a photo is in memory up to three times while it is read, repaired and sent (measured).
MAX_BYTES_IN_HAND = 128 << 20


@dataclass(slots=True)
class Photo:
    """One object as it was read: its bytes, their SHA-256 in hex, and which object exactly. Close it, or use `with`."""

    image: ImageRef
    body: bytes = field(repr=False)
    sha256: str
    etag: str
    version_id: str | None
    place: Place | None = field(default=None, repr=False)

    def let_go(self, sent_bytes: int) -> None:
        """Forget the bytes; so many others are sent in their place, which may take half a minute."""
        self.body = b""
        if self.place:
            self.place.shrink(sent_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go(0)


class Storage:
    """`timeout_s` bounds one read of one object; `connections` is the number of threads that share the client.

    Raises SettingsError when the AWS SDK's own variables are wrong.
    """

    def __init__(self, timeout_s: float, connections: int) -> None:
        self._timeout_s = timeout_s
        self._room = Room(MAX_BYTES_IN_HAND)
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=timeout_s,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            max_pool_connections=connections,
            # Other makers' S3 refuses the checksums that boto3 adds by default; TLS guards the transfer.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            # boto3 knows AWS_DEFAULT_REGION only; the other SDKs know AWS_REGION.
            self._session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
            self._client = self._session.client("s3", config=config)
        except (BotoCoreError, ValueError) as error:
            raise SettingsError(f"the AWS settings need attention:\n- {error}") from None

    def get(self, image: ImageRef, max_bytes: int, etag: str | None = None) -> Photo:
        """Read one object, the version if one is named, only if it still has `etag` if that is given.

        Waits until there is room for it beside the photos that are open, which get_json does not.

        Raises:
            ImageRejectedError: it is larger than `max_bytes`; nothing was read.
            NoRoomError: there was none within the time limit of a read.
            ObjectMissingError, ObjectDeniedError, ObjectChangedError, StorageError: S3 did not give it.

        """
        with self._opened(image, etag) as answer:
            if answer["ContentLength"] > max_bytes:
                raise ImageRejectedError(Code.IMAGE_TOO_LARGE, f"the object is over {max_bytes} bytes")
            place = self._room.take(answer["ContentLength"], self._timeout_s)
            try:
                photo = self._photo(image, answer)
            except BaseException:
                place.close()
                raise
        photo.place = place
        return photo

    def presign(self, image: ImageRef) -> str:
        """A URL that reads the object for PRESIGNED_FOR_S without credentials: a secret while it lives."""
        with _translated(str(image)):
            return self._client.generate_presigned_url(
                "get_object", Params=_request(image, None), ExpiresIn=PRESIGNED_FOR_S
            )

    def get_text(self, bucket: str, key: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
        """Read a text back. Raises like `get`, but DocumentError when it is larger or no UTF-8."""
        image = ImageRef(bucket, key)
        with self._opened(image, None) as answer:
            if answer["ContentLength"] > max_bytes:
                raise DocumentError(f"{image}: it is over {max_bytes} bytes")
            body = self._photo(image, answer).body
        return decoded(body, str(image))

    def keys(self, bucket: str, prefix: str, after: str = "") -> Iterator[str]:
        """The keys under a prefix, in order, beginning after one. Raises ObjectDeniedError and StorageError."""
        pages = self._client.get_paginator("list_objects_v2")
        with _translated(f"s3://{bucket}/{prefix}"):
            for page in pages.paginate(Bucket=bucket, Prefix=prefix, StartAfter=after):
                for found in page.get("Contents", []):
                    yield found["Key"]

    def put_json(self, bucket: str, key: str, document: Mapping[str, Any]) -> str:
        """Write a document, replacing what was there; returns its s3:// address.

        In one line: indented, a reply nested as deep as the client takes it would be many times its size.

        Raises ObjectDeniedError and StorageError; a bucket that does not exist is the latter, because a result that was
        paid for waits until somebody has created it.
        """
        return self._put(bucket, key, json.dumps(document, ensure_ascii=False), "application/json")

    def put_lines(self, bucket: str, key: str, text: str) -> str:
        """The same for JSON lines."""
        return self._put(bucket, key, text, "application/jsonl")

    def check_image(self, image: ImageRef, etag: str | None = None) -> None:
        """Raise like `get` when that would not find the object. Reads none of it, and counts no room."""
        try:
            with _translated(str(image)):
                self._client.head_object(**_request(image, etag))
        except StorageError:
            if not image.version_id:
                raise
            # A HEAD is answered without words, and a version id that S3 never gave looks like any bad request.
            with self._opened(image, etag):
                pass

    def get_json(self, address: str, max_bytes: int = MAX_DOCUMENT_BYTES) -> dict[str, Any]:
        """Read a document back from its s3:// address. Raises like `get_text`, and DocumentError for anything else."""
        image = ImageRef.parse(address)
        return parsed(self.get_text(image.bucket, image.key, max_bytes), address)

    def has_credentials(self) -> bool:
        """Whether boto3's credential chain finds any."""
        return self._session.get_credentials() is not None

    def check(self, bucket: str | None) -> None:
        """Raise like `get` when S3, or the bucket if one is named, cannot be reached with these credentials."""
        with _translated(f"s3://{bucket or ''}"):
            if bucket:
                self._client.head_bucket(Bucket=bucket)
            else:
                with suppress(ObjectDeniedError), _translated("s3://"):  # a list is more than a worker needs
                    self._client.list_buckets(MaxBuckets=1)

    def _put(self, bucket: str, key: str, text: str, content_type: str) -> str:
        address = f"s3://{bucket}/{key}"
        body = text.encode(errors="backslashreplace")
        try:
            with _translated(address):
                self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        except ObjectMissingError as error:
            raise StorageError(f"{error}: create the bucket or name another one in the settings") from None
        return address

    @contextmanager
    def _opened(self, image: ImageRef, etag: str | None) -> Iterator["GetObjectOutputTypeDef"]:
        """S3's answer, its body yet to be read."""
        with _translated(str(image)):
            answer = self._client.get_object(**_request(image, etag))
            with closing(answer["Body"]):
                yield answer

    def _photo(self, image: ImageRef, answer: "GetObjectOutputTypeDef") -> Photo:
        body = self._read(answer["Body"], answer["ContentLength"], str(image))
        return Photo(image, body, hashlib.sha256(body).hexdigest(), answer["ETag"].strip('"'), answer.get("VersionId"))

    def _read(self, body: StreamingBody, length: int, address: str) -> bytes:
        """The whole object, within the time limit even when it comes in drips: read1 returns with what is there."""
        deadline = time.monotonic() + self._timeout_s
        chunks = []
        with body as stream:  # what it gives is urllib3's response
            while chunk := stream.read1(CHUNK_BYTES):  # type: ignore[attr-defined]  # the stubs take it for the body
                chunks.append(chunk)
                if time.monotonic() > deadline:
                    raise StorageError(f"{address}: reading it took over {self._timeout_s:g} s")
        if sum(map(len, chunks)) != length:
            raise StorageError(f"{address}: came in part only")
        return b"".join(chunks)


def decoded(body: bytes, address: str) -> str:
    """The text that the bytes are. Raises DocumentError, which names their `address`."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise DocumentError(f"{address}: it is no UTF-8") from None


def parsed(text: str, address: str) -> dict[str, Any]:
    """The document that the text is. Raises DocumentError, which names its `address`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise DocumentError(f"{address}: it is no JSON") from None
    if not isinstance(document, dict):
        raise DocumentError(f"{address}: it is no JSON object")
    return document


def _request(image: ImageRef, etag: str | None) -> "GetObjectRequestTypeDef":
    request: GetObjectRequestTypeDef = {"Bucket": image.bucket, "Key": image.key}
    if image.version_id:
        request["VersionId"] = image.version_id
    if etag:
        request["IfMatch"] = f'"{etag}"'
    return request


@contextmanager
def _translated(address: str) -> Iterator[None]:
    """Turn boto3's errors into ours, which name the object and never a URL with its signature."""
    try:
        yield
    except ClientError as error:
        answer: Any = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        name = answer.get("Error", {}).get("Code", "")
        raise _error_for(status, name)(f"{address}: S3 answered {status} {name}") from None
    except (BotoCoreError, HTTPError) as error:
        raise StorageError(f"{address}: {type(error).__name__}") from None


def _error_for(http_status: int, name: str) -> type[HmtPassError]:
    match http_status, name:
        case (HTTPStatus.NOT_FOUND, _) | (HTTPStatus.METHOD_NOT_ALLOWED, _):  # 405: the version is a delete marker
            return ObjectMissingError
        case HTTPStatus.BAD_REQUEST, "InvalidArgument":  # a version id that S3 never gave
            return ObjectMissingError
        case HTTPStatus.PRECONDITION_FAILED, _:
            return ObjectChangedError
        case (HTTPStatus.UNAUTHORIZED, _) | (HTTPStatus.FORBIDDEN, _):
            return ObjectDeniedError
        case _:
            return StorageError
