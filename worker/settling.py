"""What becomes of a job that did not finish: its disposition carried out. Each way ends in the exception for celery.

Whatever is written here is written before the message is acknowledged, and all of it may be written twice.
"""

import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from celery.exceptions import Reject, Retry, TaskPredicate

from hmt_pass import __version__, codes
from hmt_pass.codes import Code, Disposition
from hmt_pass.errors import (
    CallError,
    HmtPassError,
    ImageRejectedError,
    ObjectDeniedError,
    StorageError,
    StoreError,
)
from hmt_pass.job import Lane
from hmt_pass.permit import Reply
from hmt_pass.status import State
from worker import spans
from worker.claims import Claim, claim_lost, now
from worker.envelope import TaskMessage
from worker.hold import Kind
from worker.letters import DeadLetter, redrives
from worker.observe import log
from worker.outcomes import (
    BudgetSpentError,
    BugError,
    DeadLetteredError,
    HeldError,
    RefusedError,
    SnoozedError,
)
from worker.redaction import redact
from worker.results import Ours
from worker.services import Services

CLOCK_SKEW_S = 60.0  # a signature is good for longer; what the network takes is far below
GIVE_BACK_PAUSE_S = 1.0  # the hold and a lost Redis are noticed within this time; without it a message would spin


@dataclass(frozen=True, slots=True)
class Settling:
    """Carries out dispositions for one message of one job; with `claim`, while no other worker has claimed it since."""

    services: Services
    message: TaskMessage
    job_id: str
    claim: Claim | None = None

    def settle(self, error: HmtPassError, ours: Ours | None = None) -> None:
        """Do what the error's disposition says; returns when the job has its end, raises for celery otherwise.

        `ours` is the job once it is claimed. When S3 fails meanwhile the job is retried, when Redis fails the message
        goes back unacknowledged. A job that had its end when it was claimed keeps it.
        """
        spans.note(code=_code(error))
        try:
            if ours and not self.services.claims.holds(ours.claim):
                error, ours = claim_lost(), None
            self._carry_out_unless_lost(error, ours)
        except (TaskPredicate, DeadLetteredError):
            raise
        except StoreError as failed:
            self.give_back(failed)
        except Exception as failed:  # noqa: BLE001  not even a dead letter can be put: the message must not be lost
            self.give_back(bug(failed))

    def _carry_out_unless_lost(self, error: HmtPassError, ours: Ours | None) -> None:
        try:
            self._carry_out_or_retry(error, ours)
        except SnoozedError as lost:
            self.snooze(lost, None)

    def _carry_out_or_retry(self, error: HmtPassError, ours: Ours | None) -> None:
        try:
            self._carry_out(error, ours)
        except (StorageError, ObjectDeniedError) as failed:
            self.retry(failed)
        except (TaskPredicate, DeadLetteredError, StoreError, SnoozedError):
            raise
        except Exception as failed:  # noqa: BLE001  any bug is a dead letter
            self._dead_letter_unless_ended(bug(failed))

    def bury(self, ours: Ours) -> None:
        """Drop the dead letter of a job that died and has come to another end since; again if it was cut short."""
        if "dead_at" in ours.claim.fields and ours.outcome["state"] in {State.RECOGNIZED, State.REJECTED}:
            with suppress(StoreError):
                self.services.dead_letters.discard(self.job_id)
                self.services.claims.buried(self.job_id)

    def _carry_out(self, error: HmtPassError, ours: Ours | None) -> None:
        if self._has_its_end and error.disposition in {Disposition.REJECT, Disposition.DEAD_LETTER}:
            self._leave_the_end(error)
            return
        if failure := self._one_too_many(error, ours):
            self._hold(error, Kind.FAILURES, f"again and again: {failure}", failure=failure)
        match error.disposition:
            case Disposition.REJECT if ours:
                self.reject(error, ours)
            case Disposition.RETRY:
                self.retry(error)
            case Disposition.SNOOZE if isinstance(error, BudgetSpentError | HeldError):
                if isinstance(error, BudgetSpentError):
                    self._hold(error, Kind.BUDGET, error.reason)
                self._wait_with_the_rest(error)
            case Disposition.SNOOZE if isinstance(error, StoreError):
                self.give_back(error)
            case Disposition.SNOOZE:
                self.snooze(error, ours)
            case _:
                self.dead_letter(error)

    def reject(self, error: HmtPassError, ours: Ours) -> None:
        """Store the final result `rejected`."""
        code = _code(error) or ""
        ours.reject(code, error.reason)
        spans.ended(Disposition.REJECT, state=State.REJECTED, reason=error.reason)
        log.info("job.rejected", code=code, reason=error.reason)

    @property
    def _has_its_end(self) -> bool:
        return self.claim is not None and self.claim.state.final

    def _leave_the_end(self, error: HmtPassError) -> None:
        """What goes wrong in looking at a job again is no second end of it."""
        spans.ended(Disposition.DONE, reason=error.reason)
        log.error("job.end_stays", reason=error.reason)

    def retry(self, error: HmtPassError) -> None:
        """Try again later, within the policy; exhausted, the job is dead-lettered."""
        failures, age_s = self.services.claims.fail(self.job_id, bounded=error.bounded)
        delay_s = self.services.retry.next_delay(failures, age_s, bounded=error.bounded)
        if delay_s is None:
            self._dead_letter_unless_ended(error, f"exhausted: {error.reason}")
            return
        spans.ended(Disposition.RETRY, state=State.RETRYING, reason=error.reason)
        log.warning(
            "job.retrying", reason=error.reason, code=_code(error), failures=failures, delay_s=round(delay_s, 2)
        )
        self.services.claims.waits(self.job_id, State.RETRYING, error.reason, _reply(error), self.claim)
        self._delay(error.reason, delay_s)

    def snooze(self, error: HmtPassError, ours: Ours | None) -> NoReturn:
        """Look again later; no attempt is spent. After a 1009 the whole fleet is slower already: worker.calls."""
        if isinstance(error, SnoozedError):
            delay_s = error.delay_s
        else:
            delay_s = self.services.retry.snooze(self.services.claims.snooze(self.job_id))
        if ours:
            self.services.claims.waits(self.job_id, State.QUEUED, error.reason, _reply(error), self.claim)
        spans.ended(Disposition.SNOOZE, state=State.QUEUED, reason=error.reason)
        log.info("job.snoozed", reason=error.reason, delay_s=round(delay_s, 2))
        self._delay(error.reason, delay_s)

    def give_back(self, error: HmtPassError) -> NoReturn:
        """Put the message back where it came from, unacknowledged and unchanged, after a pause."""
        spans.ended(Disposition.SNOOZE, state=State.QUEUED, reason=error.reason)
        log.info("job.given_back", reason=error.reason)
        time.sleep(GIVE_BACK_PAUSE_S)
        if isinstance(error, StoreError) and self._is_set_aside():
            raise Retry(error.reason) from None
        raise Reject(error.reason, requeue=True) from None

    def _is_set_aside(self) -> bool:
        """Whether the message waits elsewhere now, so that this copy of it can be acknowledged."""
        try:
            return self.services.delayed.set_aside(self.message)
        except StoreError:
            return False

    def _dead_letter_unless_ended(self, error: HmtPassError, reason: str | None = None) -> None:
        if self._has_its_end:
            self._leave_the_end(error)
        else:
            self.dead_letter(error, reason)

    def dead_letter(self, error: HmtPassError, reason: str | None = None) -> NoReturn:
        """Put the dead letter, and open the hold first when the code speaks of the account."""
        code = _code(error)
        if code and codes.is_account_wide(code):
            self._hold(error, Kind.CODE, _meaning(error, code), code=code)
        letter = self._letter(error, reason or error.reason)
        self.services.claims.dies(self.job_id, self.claim)
        self.services.dead_letters.put(letter, self.message, time.time())
        self.services.claims.died(self.job_id, letter.reason, _reply(error), self.claim)
        spans.ended(Disposition.DEAD_LETTER, state=State.DEAD, reason=letter.reason)
        log.error(
            "job.dead_lettered", job_id=self.job_id, reason=letter.reason, code=code, request_id=letter.request_id
        )
        raise DeadLetteredError(f"{code or ''} {letter.reason}".strip()) from None

    def _one_too_many(self, error: HmtPassError, ours: Ours | None) -> str:
        """The kind of failure when this was one too many of it in a row; else empty."""
        if isinstance(error, BugError):
            return error.reason if self.services.hold.failed(error.reason, self.job_id) else ""
        return ours.failing if ours else ""

    def _hold(
        self, error: HmtPassError, kind: Kind, reason: str, code: str | None = None, failure: str | None = None
    ) -> None:
        """Open the hold; when another job did so first, this one is spared and waits with the rest.

        A bug shows in no call, so no canary can tell that it is mended.
        """
        hold, worker = self.services.hold, self.services.worker
        job_id = None if kind is Kind.BUDGET else self.job_id
        heals = isinstance(error, RefusedError | CallError)
        if hold.open(reason, by=worker, kind=kind, code=code, job_id=job_id, failure=failure, heals=heals):
            log.error("hold.opened", kind=str(kind), code=code, reason=reason)
            return
        if heals:
            self.services.claims.snooze(self.job_id)  # the call was refused, not spent
        self._wait_with_the_rest(HeldError())

    def _wait_with_the_rest(self, error: HmtPassError) -> NoReturn:
        if self.claim:
            self.services.claims.waits(self.job_id, State.QUEUED, error.reason, claim=self.claim)
        self.give_back(error)

    def _delay(self, reason: str, delay_s: float) -> NoReturn:
        self.services.claims.moves(self.job_id, Lane.of_queue(self.message.queue), delay_s)
        self.services.delayed.put(self.job_id, self.message, delay_s)
        raise Retry(f"{reason}; again in {delay_s:.1f} s") from None

    def _letter(self, error: HmtPassError, reason: str) -> DeadLetter:
        fields = self.services.claims.fields(self.job_id)
        reply = _reply(error)
        moment = now()
        return DeadLetter(
            self.job_id,
            reason,
            moment,
            detail=str(error),
            image=fields.get("image"),
            hmt_flag=int(fields["hmt_flag"]) if "hmt_flag" in fields else None,
            code=_code(error),
            msg=redact(reply.msg) if reply else None,
            request_id=reply.request_id if reply else None,
            attempts=self.services.claims.attempts(self.job_id),
            first_failure_at=fields.get("first_failure_at") or moment,
            last_failure_at=moment,
            redriven=int(fields.get("redriven", 0)),
            redrives=redrives(fields),
            worker=self.services.worker,
            worker_version=__version__,
        )


def bug(error: BaseException) -> BugError:
    """The error that stands for a failure of our own code; logs where it was, without the exception's text."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    found = BugError(f"bug: {type(error).__name__} in {last.name} ({last.filename.rsplit('/', 1)[-1]}:{last.lineno})")
    log.error("job.bug", reason=found.reason, traceback="".join(traceback.format_tb(error.__traceback__)))
    return found


def _meaning(error: HmtPassError, code: str) -> str:
    """What an account-wide code means, and when our clock explains it, that."""
    reply = _reply(error)
    skew_s = reply.clock_skew_s if reply and code == Code.BAD_SIGNATURE.value else None
    if skew_s is None or abs(skew_s) < CLOCK_SKEW_S:
        return codes.meaning(code)
    way = "behind" if skew_s > 0 else "ahead of"
    return f"{codes.meaning(code)}: our clock is {abs(skew_s):.0f} s {way} the endpoint's; set the clock"


def _reply(error: HmtPassError) -> Reply | None:
    return error.reply if isinstance(error, RefusedError) else None


def _code(error: HmtPassError) -> str | None:
    if isinstance(error, RefusedError):
        return error.reply.code
    return error.code.value if isinstance(error, ImageRejectedError) else None
