"""The way to the endpoint: what must be true before a call, and what is written down after it.

A call waits for its turn in the fleet here, because limits and hold belong to the account and not to a worker.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hmt_pass import keys
from hmt_pass.codes import Code
from hmt_pass.errors import StoreError
from hmt_pass.store import Store
from worker import call_scripts
from worker.claims import NO_END, PAID_MEANWHILE_S, Claim, claim_lost, now
from worker.leases import Leases
from worker.limits import Limits
from worker.outcomes import BudgetSpentError, HeldError, SnoozedError, TurnError

BEGIN_TRIES, BEGIN_PAUSE_S = 4, 0.3
PATIENCE_S = 3.0  # for a turn; beyond it the thread is worth more than the place
# Answers that say nothing of what the hold is for: the canary is sent again.
_INCONCLUSIVE = {Code.RATE_EXCEEDED, Code.SERVER_ERROR, Code.DATA_SERVICE_ERROR}


class Event(StrEnum):
    """What the end of a call meant for the fleet: nothing, the hold healed or did not, or equal failures in a row."""

    NOTHING = ""
    HEALED = "healed"
    STILL_ILL = "still ill"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class End:
    """Whether the claim is still ours, and what the call meant for the fleet."""

    is_ours: bool
    event: Event


@dataclass(frozen=True, slots=True)
class Leave:
    """To make one call, the 1-based `attempt` of its job.

    It is good until `ends_s`, a moment of time.monotonic(): the claim that it was given for may have lapsed then, and
    the job be another worker's.
    """

    attempt: int
    ends_s: float


class Calls:
    """Every method raises StoreError when Redis does not answer. `process` names this worker when it is the canary."""

    def __init__(
        self,
        store: Store,
        leases: Leases,
        limits: Limits,
        *,
        worker: str,
        process: str,
        receipt_ttl_s: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._leases = leases
        self._limits = limits
        self._worker = worker
        self._process = process
        self._receipt_ttl_s = receipt_ttl_s
        self._sleep = sleep
        self._begin = store.register_script(call_scripts.BEGIN)
        self._end = store.register_script(call_scripts.END)

    def begin(self, claim: Claim, sha256: str = "") -> Leave:
        """Wait for a turn and write down that a call is about to be made.

        `sha256` names the content if the claim has the lease on that, too.

        Raises HeldError, BudgetSpentError, TurnError when there is too much to do, SnoozedError when the claim is lost
        or a reply was stored meanwhile.
        """
        waited_s, ticket = 0.0, ""
        while True:
            asked_s, answer = self._answer_of_begin(claim, sha256, ticket)
            match answer:
                case ["go", attempt]:
                    return Leave(int(attempt), asked_s + self._leases.lease_ms / 1000)
                case ["wait", wait_ms, ticket] if waited_s < PATIENCE_S:
                    self._sleep(wait_ms / 1000)
                    waited_s += wait_ms / 1000
                case ["wait" | "later", wait_ms, *_]:
                    raise TurnError(wait_ms / 1000)
                case ["held"]:
                    raise HeldError
                case ["spent", period]:
                    raise BudgetSpentError(period)
                case ["paid"]:
                    raise SnoozedError("a reply was stored meanwhile", PAID_MEANWHILE_S)
                case _:
                    raise claim_lost()

    def end(self, claim: Claim, record: Mapping[str, Any], receipt: Mapping[str, Any] | None, failure: str = "") -> End:
        """Write down how a call ended and, when it was paid for, the reply: in the books, for the hold, in one step.

        A receipt that is already there stays: it belongs to an earlier paid reply for the same job. `failure` names a
        kind of end that nobody expected. Said twice, it is booked once.
        """
        paid = "" if receipt is None else json.dumps(receipt)
        label = record["code"] or record["error"]
        what: list[str | int | float] = [claim.token, claim.job.job_id, str(record["attempt"]), json.dumps(record)]
        what += [paid, self._receipt_ttl_s, label, failure, _verdict(record["code"], failure)]
        limits = self._limits
        what += [limits.rate_per_s, limits.utc_offset_s, limits.hold_after_failures]
        is_ours, event = self._end(keys=_end_keys(claim), args=what)
        return End(bool(is_ours), Event(event))

    def _answer_of_begin(self, claim: Claim, sha256: str, ticket: str) -> tuple[float, Any]:
        """When it was asked, and Redis' answer.

        Asked again when none comes: it may have been carried out all the same, and is so once.
        """
        tries_left = BEGIN_TRIES
        while True:
            asked_s = time.monotonic()
            try:
                return asked_s, self._begin(keys=_begin_keys(claim, sha256), args=self._begin_arguments(claim, ticket))
            except StoreError:
                tries_left -= 1
                if not tries_left:
                    raise
            self._sleep(BEGIN_PAUSE_S)

    def _begin_arguments(self, claim: Claim, ticket: str) -> list[str | int | float]:
        limits = self._limits
        record = json.dumps(NO_END | {"started_at": now(), "worker": self._worker})
        who: list[str | int | float] = [claim.token, self._leases.lease_ms, record, claim.job.job_id, self._process]
        allowed: list[str | int | float] = [
            limits.rate_per_s,
            limits.max_in_flight,
            limits.call_s,
            limits.utc_offset_s,
            limits.budgets,
        ]
        return [*who, str(claim.job.lane), ticket, *allowed]


def _verdict(code: str | None, failure: str) -> str:
    """Whether an end says that the account and the service are well."""
    known = Code.find(code) if code else None
    is_well = known and not known.account_wide and known not in _INCONCLUSIVE and not failure
    return "well" if is_well else "ill"


def _begin_keys(claim: Claim, sha256: str) -> list[str]:
    content = [keys.content_claim(sha256, int(claim.job.flag))] if sha256 else []
    return [*_of_job(claim), keys.HOLD, keys.RATE, keys.IN_FLIGHT, keys.SPEND, *content]


def _end_keys(claim: Claim) -> list[str]:
    hold = [keys.HOLD, keys.LAST_HOLD, keys.RELEASED_AT]
    return [
        *_of_job(claim),
        *hold,
        keys.RATE,
        keys.IN_FLIGHT,
        keys.SPEND,
        keys.TALLY,
        keys.LEDGER,
        keys.FAILURES,
        keys.FAILING,
    ]


def _of_job(claim: Claim) -> list[str]:
    job_id = claim.job.job_id
    return [keys.job(job_id), keys.claim(job_id), keys.attempts(job_id), keys.receipt(job_id)]
