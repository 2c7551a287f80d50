"""The message contract between producers and workers: names, the job, its id. docs/protocol.md writes it out.

A message holds references only: never a permit's field, never image bytes.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from hmt_pass.errors import InvalidJobError
from hmt_pass.permit import Flag

RECOGNIZE = "hmt_pass.recognize"
DEAD_LETTER_QUEUE = "hmt_pass.dead_letter"

_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_IMAGE = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.+?)(\?versionId=(?P<version_id>[^?&]+))?"
)
_ETAG = re.compile(r'"?[!#-~]{1,256}"?')
MAX_KEY_BYTES = 1024  # S3's own limit


class Lane(StrEnum):
    """Which queue a job waits in; bulk is served when interactive is empty, and a little beside it."""

    INTERACTIVE = "interactive"
    BULK = "bulk"

    @property
    def queue(self) -> str:
        """The broker's name of the queue."""
        return {Lane.INTERACTIVE: "hmt_pass", Lane.BULK: "hmt_pass.bulk"}[self]

    @classmethod
    def of_queue(cls, queue: str | None) -> Self:
        """The lane that a queue serves; interactive for a queue that is not ours."""
        return next((lane for lane in cls if lane.queue == queue), cls("interactive"))


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Where a photo lies: `s3://bucket/key`, with `?versionId=...` when one version is meant."""

    bucket: str
    key: str
    version_id: str | None = None

    @classmethod
    def parse(cls, text: object) -> Self:
        """A reference out of its text form. Raises InvalidJobError."""
        match = _IMAGE.fullmatch(text) if isinstance(text, str) else None
        if not match or not _is_key(match["key"]):
            raise InvalidJobError("image must be s3://bucket/key, with ?versionId=... if one version is meant")
        return cls(match["bucket"], match["key"], match["version_id"])

    def __str__(self) -> str:
        version = f"?versionId={self.version_id}" if self.version_id else ""
        return f"s3://{self.bucket}/{self.key}{version}"


@dataclass(frozen=True, slots=True)
class Job:
    """One enqueued call. `etag` (without quotes) pins the content: an object that changed since is not read."""

    job_id: str
    image: ImageRef
    flag: Flag = Flag.HK_AND_MACAU
    etag: str | None = None
    lane: Lane = Lane.INTERACTIVE

    @classmethod
    def create(
        cls,
        image: str,
        flag: int = Flag.HK_AND_MACAU,
        *,
        job_id: str | None = None,
        etag: str | None = None,
        lane: str = Lane.INTERACTIVE,
    ) -> Self:
        """A checked job; without `job_id` the id is derived from the content's name. Raises InvalidJobError."""
        ref, known_flag, known_lane, pin = ImageRef.parse(image), parse_flag(flag), parse_lane(lane), parse_etag(etag)
        return cls(check_job_id(job_id or derive_job_id(ref, known_flag, pin)), ref, known_flag, pin, known_lane)

    @classmethod
    def from_message(cls, job_id: object, args: Sequence[object], kwargs: Mapping[str, Any], queue: str | None) -> Self:
        """The job that a task message stands for: its id header, its arguments, its queue. Raises InvalidJobError."""
        if args:
            raise InvalidJobError("the task takes keyword arguments only")
        unknown = sorted(set(kwargs) - {"image", "hmt_flag", "etag"})
        if unknown:
            raise InvalidJobError(f"unknown arguments: {', '.join(unknown)}")
        return cls(
            check_job_id(job_id),
            ImageRef.parse(kwargs.get("image")),
            parse_flag(kwargs.get("hmt_flag", Flag.HK_AND_MACAU)),
            parse_etag(kwargs.get("etag")),
            Lane.of_queue(queue),
        )

    @classmethod
    def from_state(cls, job_id: str, fields: Mapping[str, str]) -> Self:
        """The job whose state hash this is. Raises InvalidJobError when it does not say which image."""
        return cls(
            check_job_id(job_id),
            ImageRef.parse(fields.get("image")),
            parse_flag(int(fields.get("hmt_flag", Flag.HK_AND_MACAU))),
            parse_etag(fields.get("etag")),
            parse_lane(fields.get("lane", Lane.INTERACTIVE)),
        )

    @property
    def kwargs(self) -> dict[str, Any]:
        """The task's keyword arguments."""
        pin = {"etag": self.etag} if self.etag else {}
        return {"image": str(self.image), "hmt_flag": int(self.flag), **pin}

    @property
    def pinned(self) -> bool:
        """Whether the job names one content, so that its result can never go stale."""
        return bool(self.etag or self.image.version_id)

    def sequence_id(self, attempt: int) -> str:
        """The API's `sequence_id` of the 1-based attempt: what to ask the vendor's support about."""
        return f"{self.job_id}-{attempt}"


def _is_key(key: str) -> bool:
    """Whether S3 could hold it: at most MAX_KEY_BYTES of UTF-8 without control characters."""
    try:
        size_bytes = len(key.encode())
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return size_bytes <= MAX_KEY_BYTES and all(ord(char) >= ord(" ") for char in key)


def derive_job_id(image: ImageRef, flag: Flag, etag: str | None) -> str:
    """32 hex digits that are the same for the same image, version and flag: a double click is one job."""
    parts = (image.bucket, image.key, image.version_id or "", etag or "", str(int(flag)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def check_job_id(job_id: object) -> str:
    """The id itself, fit for an S3 key and a Redis key. Raises InvalidJobError."""
    if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
        raise InvalidJobError("a job id is 1 to 128 letters, digits and _ . -, the first a letter or digit")
    return job_id


def parse_flag(flag: object) -> Flag:
    """A Flag out of 0 to 3. Raises InvalidJobError."""
    if isinstance(flag, bool) or not isinstance(flag, int) or flag not in set(Flag):
        raise InvalidJobError("hmt_flag is 0 (Hong Kong and Macau), 1 (Hong Kong), 2 (Macau) or 3 (Taiwan)")
    return Flag(flag)


def parse_etag(etag: object) -> str | None:
    """An etag without its quotes; None for none. Raises InvalidJobError."""
    if etag is None or etag == "":
        return None
    if not isinstance(etag, str) or not _ETAG.fullmatch(etag):
        raise InvalidJobError("etag is what S3 answered to the put, such as 9b2cf535f27731c974343645a3985328")
    return etag.strip('"')


def parse_lane(lane: object) -> Lane:
    """A Lane out of its name. Raises InvalidJobError."""
    if not isinstance(lane, str) or lane not in set(Lane):
        raise InvalidJobError(f"lane is one of {', '.join(Lane)}")
    return Lane(lane)
