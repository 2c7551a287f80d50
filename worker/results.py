"""A claimed job on its way to a result: what the task works with. Each step says what a kill right after it costs.

finished -> reading (known) -> attempt -> store. A paid reply goes to Redis first, as the receipt, because that is one
quick write; from then on no redelivery calls the endpoint again.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from hmt_pass import codes
from hmt_pass.codes import Code
from hmt_pass.errors import (
    CallError,
    DocumentError,
    ObjectDeniedError,
    ObjectMissingError,
    StorageError,
    StoreError,
    UnreadableReplyError,
)
from hmt_pass.job import Job
from hmt_pass.permit import Reply
from hmt_pass.status import State
from worker import documents, spans
from worker.calls import End, Event
from worker.claims import Claim, Lifetimes, claim_lost, now
from worker.documents import Document, Source
from worker.observe import attempt_begins, log
from worker.outcomes import (
    AmbiguousError,
    EmptyReplyError,
    ExhaustedError,
    InterruptedCallError,
    RefusedError,
    SnoozedError,
)
from worker.services import Services
from worker.storage import Photo
from worker.turnstile import in_turn

PATIENCE_S = 3.0  # for a turn, with a photo in hand
RECEIPT_TRIES = 60
RECEIPT_PAUSE_S = 1.0
MEND_AGAIN_S = 30.0


@dataclass(slots=True)
class Attempt:
    """One call of the endpoint, to be sent until a moment of time.monotonic(); the task puts the reply in."""

    number: int
    sequence_id: str
    send_until_s: float
    reply: Reply | None = None


class Ours:
    """One job that this worker has claimed. `outcome` is what the task returns: ids and codes, never a field."""

    def __init__(self, claim: Claim, services: Services) -> None:
        self.claim = claim
        self.job: Job = claim.job
        self._claims = services.claims
        self._calls = services.calls
        self._storage = services.storage
        self._settings = services.settings
        self._photo: Source = {}
        self._record: Mapping[str, Any] = {}  # of this run's call
        self._sha256 = ""  # of the content that is ours to have read
        self._kept = False
        self.failing = ""  # the kind of failure that this run's call was one too many of
        self.outcome: dict[str, Any] = {"job_id": self.job.job_id, "state": str(claim.state)}

    def finished(self) -> bool:
        """Whether the job has its end already, or a receipt that only has to be stored: then no call is made.

        A job that names no version or etag is looked at again once it was enqueued again: its key may hold another
        photo by now.
        """
        receipt = self.claim.receipt
        if receipt is not None and receipt["generation"] == self.claim.fields.get("generation"):
            self._store_receipt(receipt)
            return True
        if self.claim.state.final:
            self._mend()
        return self.claim.state.final

    @contextmanager
    def reading(self, photo: Photo) -> Iterator[bool]:
        """Have this content to ourselves; yields whether its reading is known, and then the job is finished.

        Raises SnoozedError while another worker has the same content and flag read.
        """
        self._photo = documents.source(photo.image, photo.sha256, photo.etag, photo.version_id)
        if self._is_paid_for(photo):
            yield True
            return
        known = self._read_before(photo.sha256)
        if known:
            self._keep(known, window_s=0)  # the window counts from the call, not from its copies
        yield known is not None

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """One call: the intent before it, its end and the receipt after it, whatever happens.

        Raises HeldError, BudgetSpentError and SnoozedError before the call, RefusedError for a code other than 0000,
        and lets the client's errors pass.
        """
        self._check_attempts()
        leave = in_turn(lambda: self._calls.begin(self.claim, self._sha256), PATIENCE_S)
        attempt_begins(leave.attempt)
        spans.note(attempt=leave.attempt)
        attempt = Attempt(leave.attempt, self.job.sequence_id(leave.attempt), leave.ends_s)
        started_at, started_s = now(), time.monotonic()
        error: CallError | None = None
        try:
            yield attempt
        except CallError as raised:
            error = raised
        except BaseException:  # a bug of ours, or no memory: nobody knows how the call ended
            with suppress(StoreError):
                self._calls.end(self.claim, _record(attempt, InterruptedCallError(), started_at, started_s), None)
            raise
        self._record = record = _record(attempt, error, started_at, started_s)
        reply = attempt.reply
        paid = reply is not None and reply.code == Code.OK.value
        receipt = {"reply": reply.raw, "answered_at": record["ended_at"], **self._origin()} if reply and paid else None
        failure = _unexpected(reply, error)
        end = self._write_down(record, receipt, failure)
        if end.event is Event.FAILING:
            self.failing = failure
        elif end.event:
            log.warning("hold.canary_came_back", outcome=str(end.event), code=record["code"], error=record["error"])
        if not end.is_ours:
            raise claim_lost()
        if error:
            raise error
        if reply and not paid:
            raise RefusedError(reply)

    def store(self, reply: Reply, answered_at: str | None = None) -> None:
        """Write the result to S3, then the job's end to Redis. Killed in between, the receipt finishes the job.

        The document depends on the reply and on when it came (by default: just now) alone: a put that we gave up, and
        that S3 carries out long after another one, writes the same bytes.
        """
        if reply.permit is None:
            raise EmptyReplyError
        moment = answered_at or self._record["ended_at"]
        document = documents.recognized(self.job, self._photo, reply, self._attempts(), moment)
        self._keep(document, window_s=self._settings.dedupe_window_s)

    def reject(self, code: str, reason: str) -> None:
        """Make it the job's end that the uploader has to send another image."""
        document = documents.rejected(self.job, self._photo, code, reason, self._attempts(), now())
        self._keep(document, window_s=0)

    @property
    def ended_now(self) -> bool:
        """Whether this run wrote the job's end."""
        return self._kept

    def release(self) -> None:
        """Give up the claim, unless the end of the job did."""
        if not self._kept:
            self._claims.release(self.claim)

    def _mend(self) -> None:
        """Put the result back over what a worker wrote to S3 after it had lost the job; S3 has no claims to ask."""
        result = self._claims.result(self.job.job_id)
        try:
            if result is None or self._lies_there(result):
                return
            self._storage.put_json(*self._place, result)
        except (ObjectMissingError, ObjectDeniedError):  # cleaned away on purpose; not ours to look at
            return
        except StorageError:
            raise SnoozedError("the result in S3 could not be compared", MEND_AGAIN_S) from None
        if not self._claims.holds(self.claim):  # the result may be another one by now
            raise claim_lost()

    def _lies_there(self, result: Document) -> bool:
        try:
            return self._storage.get_json(self._address) == result
        except DocumentError:
            return False

    def _write_down(self, record: Mapping[str, Any], receipt: Mapping[str, Any] | None, failure: str) -> End:
        """Record the attempt; a receipt is tried for a minute, because losing it is paying twice."""
        for _ in range(RECEIPT_TRIES if receipt else 0):
            try:
                return self._calls.end(self.claim, record, receipt, failure)
            except StoreError as error:
                log.error("receipt.waits", reason=str(error))
                self._claims.waits_long(self.claim)
                time.sleep(RECEIPT_PAUSE_S)
        return self._calls.end(self.claim, record, receipt, failure)

    def _origin(self) -> dict[str, Any]:
        """What a receipt is for: these bytes, and this enqueuing of the job."""
        return {"source": self._photo, "generation": self.claim.fields.get("generation")}

    def _is_paid_for(self, photo: Photo) -> bool:
        """Whether a receipt from before the job was enqueued again is for this photo; one for another is dropped."""
        receipt = self.claim.receipt
        if receipt is None:
            return False
        if receipt["source"]["sha256"] != photo.sha256:
            self._claims.drop_receipt(self.job.job_id)
            return False
        self._store_receipt(receipt)
        return True

    def _store_receipt(self, receipt: Mapping[str, Any]) -> None:
        self._photo = receipt["source"]
        self.store(Reply.from_wire(receipt["reply"]), receipt["answered_at"])

    def _attempts(self) -> Sequence[Mapping[str, Any]]:
        """Every attempt of the job; asks Redis only when there was one before this run."""
        if int(self.claim.fields.get("attempts", 0)):
            return self._claims.attempts(self.job.job_id)
        return [self._record] if self._record else []

    def _read_before(self, sha256: str) -> Document | None:
        """The reading that is there already, as this job's: its own, or that of the same content."""
        # A job that nobody registered is new, or Redis has lost its state; what is in S3 was paid for.
        own = None if "enqueued_at" in self.claim.fields else self._reading_at(self._address, sha256)
        if own or not self._settings.dedupe_window_s:
            return own
        return self._known(sha256)

    def _known(self, sha256: str) -> Document | None:
        """The reading of the same content and flag within the window, as this job's; None when it is ours to read."""
        address = self._claims.look(self.claim, sha256)
        if address is None:
            self._sha256 = sha256
            return None
        original = self._reading_at(address, sha256)
        if original is None:  # it has to be read again, by one of us
            self._claims.forget(self.claim, sha256)
            return self._known(sha256)
        own = original["job_id"] == self.job.job_id
        return original if own else documents.copied(self.job, self._photo, original, self._attempts(), now())

    def _reading_at(self, address: str, sha256: str) -> Document | None:
        """The document there, or None: it was removed or damaged, or its job has read another photo since."""
        try:
            document = self._storage.get_json(address)
        except (ObjectMissingError, DocumentError):
            return None
        return document if _is_reading_of(document, sha256, self.job) else None

    def _keep(self, document: Document, window_s: int) -> None:
        settings = self._settings
        address = self._storage.put_json(*self._place, document)
        fields = _ending(document, address)
        self._kept = self._claims.finish(
            self.claim,
            fields,
            json.dumps(document),
            sha256=document["source"].get("sha256") or "none",
            address=address,
            lifetimes=Lifetimes(settings.status_ttl_s, settings.result_ttl_s, window_s),
        )
        if not self._kept:
            raise claim_lost()
        self.outcome |= {"state": fields["state"], "code": fields["code"]}

    @property
    def _place(self) -> tuple[str, str]:
        """Bucket and key of the job's result."""
        settings, job = self._settings, self.job
        return settings.results_bucket or job.image.bucket, f"{settings.results_prefix}{job.job_id}.json"

    @property
    def _address(self) -> str:
        return "s3://{}/{}".format(*self._place)

    def _check_attempts(self) -> None:
        if self.claim.possibly_charged >= self._settings.max_possibly_charged:
            raise AmbiguousError
        if self.claim.attempts >= self._settings.max_attempts:
            raise ExhaustedError


def _is_reading_of(document: Document, sha256: str, job: Job) -> bool:
    """Whether the document holds the reading of this very content and flag."""
    match document:
        case {"schema": documents.SCHEMA, "state": State.RECOGNIZED, "source": {"sha256": found}, "hmt_flag": flag}:
            return bool((found, flag) == (sha256, int(job.flag)))
    return False


def _record(attempt: Attempt, error: CallError | None, started_at: str, started_s: float) -> dict[str, Any]:
    reply = attempt.reply
    return {
        "attempt": attempt.number,
        "sequence_id": attempt.sequence_id,
        "started_at": started_at,
        "ended_at": now(),
        "ms": round((time.monotonic() - started_s) * 1000),
        "code": reply.code if reply else None,
        "meaning": codes.meaning(reply.code) if reply else None,
        "charge": (1 if reply.charged else 2) if reply else None,
        "request_id": reply.request_id if reply else None,
        "error": error.reason if error else None,
        "possibly_charged": bool(error and error.possibly_charged),
    }


def _unexpected(reply: Reply | None, error: CallError | None) -> str:
    """The kind of an end that the API's text does not foresee; empty for one that it does."""
    if isinstance(error, UnreadableReplyError):
        return f"{error.reason}, HTTP {error.http_status}"
    return f"unknown code {reply.code}" if reply and Code.find(reply.code) is None else ""


def _ending(document: Document, address: str) -> Mapping[str, str]:
    values = {
        "state": document["state"],
        "code": document["code"],
        "request_id": document["request_id"] or "",
        "charge": str(document["charge"] or ""),
        "result": address,
        "finished_at": now(),
        "copied_from": document["copied_from"] or "",
    }
    return {**values, **({"reason": document["reason"]} if document["reason"] else {})}
