"""One worker's way to the endpoint, on any Redis: its claims, its calls and its view of the hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hmt_pass.job import Job
from hmt_pass.store import Store
from worker.calls import Calls, End
from worker.claims import Claim, Claims
from worker.hold import Hold
from worker.leases import Leases
from worker.limits import Limits

LEASE_S = 30.0


def record(job_id: str, attempt: int, code: str | None = "0000", **changes: object) -> dict[str, Any]:
    """How an attempt ended, as worker.results writes it."""
    found = {
        "attempt": attempt,
        "sequence_id": f"{job_id}-{attempt}",
        "started_at": "2026-11-22T10:00:00.000+00:00",
        "ended_at": "2026-11-22T10:00:01.000+00:00",
        "ms": 1000,
        "code": code,
        "meaning": None,
        "charge": None if code is None else 1 if code == "0000" else 2,
        "request_id": "TID-1",
        "error": None,
        "possibly_charged": False,
    }
    return {**found, **changes}


@dataclass
class Caller:
    """`waits` are the seconds that it was told to wait for its turn; it does not wait them."""

    claims: Claims
    calls: Calls
    hold: Hold
    waits: list[float] = field(default_factory=list)

    @classmethod
    def on(cls, store: Store, name: str = "a-host:1", **limits: Any) -> "Caller":  # noqa: ANN401  those of Limits
        waits: list[float] = []
        leases, known = Leases(store, LEASE_S, 90.0), Limits(**limits)
        claims = Claims(store, leases, known, worker=name, process=name)
        calls = Calls(store, leases, known, worker=name, process=name, receipt_ttl_s=60, sleep=waits.append)
        return cls(claims, calls, Hold(store, known, name), waits)

    def begin(self, job_id: str = "mine", **options: Any) -> tuple[Claim, int]:  # noqa: ANN401  those of Job.create
        """Claim a job and begin its call."""
        claim = self.claims.claim(Job.create(f"s3://photos/{job_id}.jpg", job_id=job_id, **options))
        return claim, self.calls.begin(claim).attempt

    def end(
        self,
        claim: Claim,
        attempt: int,
        code: str | None = "0000",
        receipt: Mapping[str, Any] | None = None,
        failure: str = "",
        **changes: object,
    ) -> End:
        """Write down how a call ended."""
        return self.calls.end(claim, record(claim.job.job_id, attempt, code, **changes), receipt, failure)

    def call(self, job_id: str, code: str | None = "0000", failure: str = "", **changes: object) -> End:
        """One whole call of a job that is then let go."""
        claim, attempt = self.begin(job_id)
        end = self.end(claim, attempt, code, failure=failure, **changes)
        self.claims.release(claim)
        return end
