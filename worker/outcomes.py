"""Ends of a run that are not failures of the code: what a job's disposition is decided from."""

from celery.exceptions import TaskError

from hmt_pass import codes
from hmt_pass.codes import Disposition
from hmt_pass.errors import CallError, HmtPassError
from hmt_pass.permit import Reply
from worker.redaction import redact


class RefusedError(HmtPassError):
    """The endpoint answered with a code other than 0000."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply
        self.disposition = reply.disposition
        # The endpoint may quote what it was sent, a presigned URL for one.
        self.reason = redact(reply.reason) or codes.meaning(reply.code)

    def __str__(self) -> str:
        return f"{self.reply.code} {self.reason}"


class SnoozedError(HmtPassError):
    """Not now, through no fault of the job: look again after `delay_s`."""

    disposition = Disposition.SNOOZE

    def __init__(self, reason: str, delay_s: float) -> None:
        super().__init__(reason, delay_s)
        self.reason = reason
        self.delay_s = delay_s


class InterruptedCallError(CallError):
    """Our own code, or a lack of memory, ended a call: it may have been sent."""

    reason = "interrupted"


class TurnError(SnoozedError):
    """The fleet may not begin more calls now; there may be room in `delay_s`."""

    def __init__(self, delay_s: float) -> None:
        super().__init__("too many calls at once", max(delay_s, 0.02))

    def __reduce__(self) -> tuple[type["TurnError"], tuple[float]]:
        return TurnError, (self.delay_s,)


class BudgetSpentError(HmtPassError):
    """The budget of the vendor's day or month is spent: the account goes on hold before the call."""

    disposition = Disposition.SNOOZE

    def __init__(self, period: str) -> None:
        super().__init__(period)
        self.period = period
        self.reason = f"the budget of the {period} is spent"


class HeldError(HmtPassError):
    """The account is on hold: the message goes back to its queue, untouched and in its place."""

    disposition = Disposition.SNOOZE
    reason = "account on hold"


class ExhaustedError(HmtPassError):
    """The calls that the job may cost are spent, though the last of them was never seen to end."""

    reason = "exhausted"


class AmbiguousError(HmtPassError):
    """Too many calls of the job are possibly charged; a person must look before one more is made."""

    reason = "possibly charged too often"


class PoisonError(HmtPassError):
    """Worker after worker died while it ran the job; one more would take its neighbours with it."""

    reason = "poison"


class UnreadableMessageError(HmtPassError):
    """What lay in a queue is no message that Celery can read. `problem` names the kind of fault, never content."""

    reason = "unreadable message"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)


class UnknownTaskError(HmtPassError):
    """No task of that name in this worker: a newer producer, or somebody else's message."""

    reason = "unknown task"

    def __init__(self, name: str) -> None:
        super().__init__(redact(name)[:100])


class EmptyReplyError(HmtPassError):
    """0000 without data: charged, and nothing to store."""

    reason = "0000 without data"


class BugError(HmtPassError):
    """Our own code failed. `reason` names type and place; the exception's own text may hold data and is left out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DeadLetteredError(TaskError):
    """Ends the Celery task as failed once its dead letter is safely put; names the reason, never data."""
