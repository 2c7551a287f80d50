"""Everything that can go wrong with a job, as one tree. Each error knows its disposition.

    HmtPassError
    ├── ImageRejectedError          the image's own fault, found before the call
    ├── CallError                   the endpoint gave no answer that can be read
    │   ├── NotConnectedError       the request never left: not charged
    │   ├── NotSentError            it came too late to be sent: not charged
    │   ├── UnansweredError         sent, not answered: ambiguous, possibly charged
    │   └── UnreadableReplyError    answered, but not by the API: a gateway page, a cut body
    ├── ObjectMissingError          S3 does not have the object
    ├── ObjectChangedError          the object is no longer the one that was enqueued
    ├── ObjectDeniedError           S3 does not let us at the object
    ├── DocumentError               what lies in S3 is no document of ours
    ├── StorageError                S3 did not do what was asked of it; it may the next time
    ├── StoreError                  Redis did not; no state can be written
    ├── NoRoomError                 too many large images are in hand already
    ├── InvalidJobError             the message cannot be a job
    ├── JobConflictError            the job id already stands for another image
    ├── NotEnqueuedError            the broker did not take a job
    └── SettingsError               the environment is wrong; lists every problem

Errors hold ids and references, never fields of a permit, never a secret.
"""

from http import HTTPStatus

from hmt_pass.codes import Code, Disposition


class HmtPassError(Exception):
    """Base of all errors of this package; an error that says nothing else is dead-lettered as a bug."""

    disposition = Disposition.DEAD_LETTER
    reason = "error"
    bounded = True  # retried at most max_attempts times; otherwise until the job is too old


class ImageRejectedError(HmtPassError):
    """The image breaks a limit of the API text, so the endpoint would refuse it: the uploader must send another one."""

    disposition = Disposition.REJECT

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code.value} {self.reason}"


class CallError(HmtPassError):
    """The endpoint gave no answer that can be read."""

    disposition = Disposition.RETRY
    possibly_charged = True


class NotConnectedError(CallError):
    """No connection was made, so nothing was sent and nothing charged."""

    reason = "not connected"
    possibly_charged = False


class NotSentError(CallError):
    """The moment until which it might be sent had passed before any of it was: nothing was charged."""

    reason = "not sent in time"
    possibly_charged = False


class UnansweredError(CallError):
    """The request was sent and no answer came. Ambiguous: it may have been charged."""

    reason = "unanswered"


class UnreadableReplyError(CallError):
    """An answer without the API's JSON: a gateway's (5xx, retried) or not this API at all (dead letter)."""

    reason = "unreadable reply"

    def __init__(self, http_status: int, problem: str) -> None:
        super().__init__(http_status, problem)
        self.http_status = http_status
        self.problem = problem
        unavailable = http_status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        retried = unavailable or http_status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self.disposition = Disposition.RETRY if retried else Disposition.DEAD_LETTER
        self.possibly_charged = not unavailable  # a gateway that says so has not passed the call on

    def __str__(self) -> str:
        return f"HTTP {self.http_status}: {self.problem}"


class ObjectMissingError(HmtPassError):
    """S3 has no such bucket, key or version."""

    reason = "object missing"


class ObjectChangedError(HmtPassError):
    """The object was overwritten since it was enqueued with its etag."""

    reason = "object changed"


class ObjectDeniedError(HmtPassError):
    """The credentials may not read or write the object; retried, because credentials are renewed while jobs wait."""

    disposition = Disposition.RETRY
    reason = "object denied"


class DocumentError(HmtPassError):
    """What lies in S3 is too large for a document, or no JSON object. Reading it again would give the same."""

    reason = "no document"


class StorageError(HmtPassError):
    """S3 could not be reached or answered with a fault of its own: retried for as long as the job may live."""

    disposition = Disposition.RETRY
    reason = "storage unavailable"
    bounded = False


class StoreError(HmtPassError):
    """Redis could not be reached or refused to write: the message goes back to the broker untouched."""

    disposition = Disposition.SNOOZE
    reason = "store unavailable"


class NoRoomError(HmtPassError):
    """Other threads hold what memory there is for images: retried for as long as the job may live."""

    disposition = Disposition.RETRY
    reason = "too many large images at once"
    bounded = False


class InvalidJobError(HmtPassError):
    """The message cannot be a job: no usable image reference, flag or job id."""

    reason = "invalid job"


class JobConflictError(HmtPassError):
    """A job id that the caller chose already stands for another image or flag."""

    reason = "job conflict"


class NotEnqueuedError(HmtPassError):
    """The broker or Redis did not say that it took the job: it was not accepted, enqueue it again later."""

    reason = "not enqueued"


class SettingsError(HmtPassError):
    """The environment is wrong. The text has a line for every problem."""

    reason = "settings"
