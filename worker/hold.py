"""The account-wide hold: a durable hash that every worker polls. While it is there, nothing is called but the canary.

Four kinds, by what opened it:

    code       an account-wide code, which is proof: the next call would fail too
    failures   a run of equal failures that nobody expected
    budget     the budget of the day or month is spent
    hand       an operator

The first two are tried by a canary: one call, fleet-wide, after each of HMT_PASS_CANARY_AFTER_S. The third ends when
there is budget again, the last by hand, which ends any of them. The jobs that died of what opened it are its incident.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from hmt_pass import keys
from hmt_pass.store import Store
from worker import hold_scripts
from worker.claims import now
from worker.limits import Limits


class Kind(StrEnum):
    """What opened a hold."""

    CODE = "code"
    FAILURES = "failures"
    BUDGET = "budget"
    HAND = "hand"


@dataclass(frozen=True, slots=True)
class HoldInfo:
    """Why the account is on hold: what opened it, the code and job that proved it, who set it, since when.

    `incident` names the jobs that died of it. `tries` canaries have failed, the last with `answer`; the next one is due
    at `canary_at` (Unix time, Redis' clock), None when only a person or the budget ends it. Texts are empty, and
    `released_at` and `released_by` None, for what has not happened.
    """

    kind: Kind
    reason: str
    by: str
    since: str
    incident: str
    code: str | None = None
    job_id: str | None = None
    failure: str | None = None
    tries: int = 0
    answer: str | None = None
    canary: str | None = None
    canary_at: float | None = None
    released_at: str | None = None
    released_by: str | None = None

    @classmethod
    def from_store(cls, fields: Mapping[str, str]) -> Self:
        """A hold out of its hash."""
        at = fields.get("canary_at")
        return cls(
            kind=Kind(fields["kind"]),
            reason=fields["reason"],
            by=fields["by"],
            since=fields["since"],
            incident=fields["incident"],
            code=fields["code"] or None,
            job_id=fields["job_id"] or None,
            failure=fields["failure"] or None,
            tries=int(fields.get("tries", 0)),
            answer=fields.get("answer"),
            canary=fields.get("canary"),
            canary_at=float(at) if at else None,
            released_at=fields.get("released_at"),
            released_by=fields.get("released_by"),
        )

    def as_dict(self) -> dict[str, Any]:
        """The hold as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the hold; `is_due`: a canary may be sent and nobody is at it."""

    info: HoldInfo | None
    is_due: bool


class Hold:
    """Every method raises StoreError when Redis does not answer. `process` names this worker when it is the canary."""

    def __init__(self, store: Store, limits: Limits, process: str) -> None:
        self._store = store
        self._limits = limits
        self.process = process
        self._open = store.register_script(hold_scripts.OPEN)
        self._look = store.register_script(hold_scripts.LOOK)
        self._take_canary = store.register_script(hold_scripts.TAKE_CANARY)
        self._end = store.register_script(hold_scripts.END_HOLD)
        self._failed = store.register_script(hold_scripts.FAILED)

    def open(
        self,
        reason: str,
        *,
        by: str,
        kind: Kind = Kind.HAND,
        code: str | None = None,
        job_id: str | None = None,
        failure: str | None = None,
        heals: bool = False,
    ) -> bool:
        """Stop the fleet; False when it was on hold already: the first reason stays. `heals`: by a canary."""
        moment = now()
        incident = f"{moment[:19].translate(_PLAIN)}-{code or kind}"
        fields = {"kind": kind, "reason": reason, "by": by, "since": moment, "incident": incident}
        fields |= {"code": code or "", "job_id": job_id or "", "failure": failure or ""}
        names = [keys.HOLD, keys.incident(incident), keys.FAILURES, keys.FAILING]
        pairs = [item for pair in fields.items() for item in pair]
        delays = json.dumps(self._limits.canary_after_s)
        return bool(self._open(keys=names, args=[job_id or "", delays, int(heals), *pairs]))

    def look(self) -> Look:
        """The hold as it stands, None when it is off, and whether a canary is due."""
        flat, is_due = self._look(keys=[keys.HOLD])
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return Look(HoldInfo.from_store(fields) if fields else None, bool(is_due))

    def info(self) -> HoldInfo | None:
        """Why the account is on hold, or None when it is not."""
        return self.look().info

    def last(self) -> HoldInfo | None:
        """The hold that was released last, or None."""
        fields: Any = self._store.hgetall(keys.LAST_HOLD)
        return HoldInfo.from_store(fields) if fields else None

    def is_on(self) -> bool:
        """Whether the account is on hold."""
        return bool(self._store.exists(keys.HOLD))

    def died_of(self, incident: str) -> set[str]:
        """The ids of the jobs that died of what opened the hold, whatever became of them since."""
        return {str(job_id) for job_id in self._store.smembers(keys.incident(incident))}

    def release(self, *, by: str, at_once: bool = False, kind: Kind | None = None) -> bool:
        """Let the fleet go on, bit by bit or `at_once`; False when it was not on hold, or not on one of that kind.

        Jobs that failed before get their full time again.
        """
        names = [keys.HOLD, keys.LAST_HOLD, keys.RELEASED_AT, keys.RATE]
        return bool(self._end(keys=names, args=[now(), by, int(at_once), kind or ""]))

    def take_canary(self) -> bool:
        """Be the one worker that tries a call; False when another one is, or it is too early."""
        return bool(self._take_canary(keys=[keys.HOLD], args=[self.process, self._limits.call_s * 2]))

    def failed(self, failure: str, job_id: str) -> bool:
        """Count a failure that no call shows; True when so many equal ones came in a row that the fleet must stop."""
        names = [keys.FAILURES, keys.FAILING, keys.HOLD]
        return bool(self._failed(keys=names, args=[failure, job_id, self._limits.hold_after_failures]))


def ends(info: HoldInfo, now_s: float) -> str:
    """Until when a hold lasts, in words; `now_s` is Unix time."""
    if info.canary_at is None:
        return "until there is budget again" if info.kind is Kind.BUDGET else "until somebody releases it"
    wait_s = info.canary_at - now_s
    due = f"in {wait_s:.0f} s at the earliest" if wait_s > 0 else "with the next job"
    return f"until a canary, one call, finds the account well; the next goes {due}"


_PLAIN = str.maketrans({"-": None, ":": None, "T": "-"})
