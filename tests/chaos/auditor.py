"""Checks, job by job, that nothing was lost, nothing paid twice, and every result is what the endpoint said."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from chaos.facts import Facts, JobFacts, Record
from chaos.scripted import Call
from chaos.scripted_server import card_number

ENDS = {"recognized", "rejected", "dead"}
LOST, TWICE, MONEY, PAID_TWICE, RESULT = "lost", "in two places", "books disagree", "paid twice", "result"


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken for one job."""

    kind: str
    job_id: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.job_id}: {self.what}"


@dataclass(slots=True)
class Findings:
    """The figures of one run and every violation of a promise in it.

    `paid_again` counts second charges for one job or content, of which `paid_twice` are those outside the documented
    window. `ambiguous` counts the attempts that our records list as possibly charged.
    """

    jobs: int
    ends: dict[str, int]
    charges: int
    ambiguous: int
    paid_again: int
    violations: list[Violation] = field(default_factory=list)
    faults: int = 0
    recovery_s: float | None = None

    def count(self, kind: str) -> int:
        return sum(violation.kind == kind for violation in self.violations)

    @property
    def lost(self) -> int:
        return self.count(LOST)

    @property
    def paid_twice(self) -> int:
        return self.count(PAID_TWICE)


def audit(facts: Facts) -> Findings:
    """Judge a run."""
    attempts = {record["sequence_id"]: record for job in facts.jobs.values() for record in job.attempts}
    again = list(_paid_again(facts.calls))
    found = chain(
        _conservation(facts),
        _charges(facts, attempts),
        _bought_what_was_known(facts, again, attempts),
        _results(facts),
    )
    return Findings(
        jobs=len(facts.accepted),
        ends=dict(Counter(_job(facts, job_id).state for job_id in facts.accepted)),
        charges=sum(call.charged for call in facts.calls),
        ambiguous=sum(bool(record["possibly_charged"]) for record in attempts.values()),
        paid_again=len(again),
        violations=list(found),
    )


def _job(facts: Facts, job_id: str) -> JobFacts:
    return facts.jobs.get(job_id, JobFacts())


def _conservation(facts: Facts) -> Iterator[Violation]:
    """Every accepted job ends in exactly one place."""
    waiting, dead = Counter(facts.waiting), Counter(facts.dead_messages)
    if facts.drained:
        for job_id in waiting.keys() - set(facts.accepted):
            yield Violation(TWICE, job_id, f"{waiting[job_id]} messages wait, of a job that nobody is known to await")
    for job_id in facts.accepted:
        state = _job(facts, job_id).state
        if state not in ENDS:
            yield from _not_ended(facts, job_id, state, waits=waiting[job_id] > 0)
        elif facts.drained and waiting[job_id]:
            yield Violation(TWICE, job_id, f"{state}, and {waiting[job_id]} messages wait")
        has_letter = job_id in facts.letters
        if state == "dead" and not has_letter:
            yield Violation(LOST, job_id, "dead without a dead letter")
        if state != "dead" and has_letter:
            yield Violation(TWICE, job_id, f"{state}, and a dead letter: {facts.letters[job_id]}")
        if has_letter and dead[job_id] != 1:
            yield Violation(TWICE, job_id, f"{dead[job_id]} messages on the dead-letter queue")
        if state in ENDS and job_id in facts.open_jobs:
            yield Violation(TWICE, job_id, f"{state}, and among the open jobs")


def _not_ended(facts: Facts, job_id: str, state: str, *, waits: bool) -> Iterator[Violation]:
    if facts.drained:
        yield Violation(LOST, job_id, f"{state} when all was to be done; a message waits: {waits}")
    elif state == "unknown" or not (waits or job_id in facts.open_jobs):
        yield Violation(LOST, job_id, f"{state}, and nobody has its message")


def _charges(facts: Facts, attempts: dict[str, Record]) -> Iterator[Violation]:
    """The endpoint's charges are those that we recorded, or recorded as possible."""
    charged = Counter(call.sequence_id for call in facts.calls if call.charged)
    sent = Counter(call.sequence_id for call in facts.calls)
    for sequence_id, times in sent.items():
        if times > 1:
            yield Violation(MONEY, sequence_id, f"sent {times} times under one sequence id")
    for sequence_id in charged:
        record = attempts.get(sequence_id)
        if record is None:
            yield Violation(MONEY, sequence_id, "charged, and we have no record of the attempt")
        elif not (record["charge"] == 1 or record["possibly_charged"] or _is_under_way(facts, record)):
            yield Violation(MONEY, sequence_id, f"charged, and our record says {record['code'] or record['error']}")
    for sequence_id, record in attempts.items():
        if record["charge"] == 1 and not charged[sequence_id]:
            yield Violation(MONEY, sequence_id, "recorded as charged, and the endpoint did not charge it")
        if record["ended_at"] is None and facts.drained:
            yield Violation(MONEY, sequence_id, "an attempt whose end nobody wrote down")


def _is_under_way(facts: Facts, record: Record) -> bool:
    """Whether nobody could know yet how the attempt ended."""
    return record["ended_at"] is None and not facts.drained


def _paid_again(calls: Iterable[Call]) -> Iterator[tuple[Call, list[Call]]]:
    """Each charge for what was charged before, with the earlier charges: for one job, or for one content."""
    before: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        earlier = {id(old): old for name in (call.job_id, call.sha256) for old in before[name]}
        if call.charged:
            if earlier:
                yield call, list(earlier.values())
            for name in (call.job_id, call.sha256):
                before[name].append(call)


def _bought_what_was_known(
    facts: Facts, again: Iterable[tuple[Call, list[Call]]], attempts: dict[str, Record]
) -> Iterator[Violation]:
    """A second charge is allowed only while the answer to the first had not reached our records."""
    for call, earlier in again:
        record = attempts.get(call.sequence_id)
        known = [old.sequence_id for old in earlier if _was_known(facts, attempts.get(old.sequence_id), record)]
        if known:
            yield Violation(PAID_TWICE, call.sequence_id, f"charged, though {', '.join(known)} had been")
    paid: dict[str, Record] = {}
    for call in facts.calls:
        record = attempts.get(call.sequence_id)
        if not call.charged and _was_known(facts, paid.get(call.job_id), record):
            yield Violation(PAID_TWICE, call.sequence_id, "sent, though the job's reply was stored")
        if record and record["charge"] == 1:
            paid[call.job_id] = record


def _was_known(facts: Facts, earlier: Record | None, later: Record | None) -> bool:
    """Whether the charge of one attempt was on record when the other began: a worker may be frozen before it books."""
    if earlier is None or earlier["possibly_charged"]:
        return False
    known_at = facts.booked_at.get(earlier["sequence_id"], earlier["ended_at"])
    return later is None or str(known_at) <= str(later["started_at"])


def _results(facts: Facts) -> Iterator[Violation]:
    """Every result is in S3 and in Redis, and says what the endpoint said about that image."""
    paid = {(call.sha256, call.request_id) for call in facts.calls if call.charged}
    for job_id in facts.accepted:
        job = _job(facts, job_id)
        document = facts.objects.get(job_id)
        if job.state not in {"recognized", "rejected"}:
            continue
        if document is None:
            yield Violation(RESULT, job_id, f"{job.state}, and no object in S3")
            continue
        if job.result is not None and job.result != document:
            yield Violation(RESULT, job_id, "the result in Redis is not the one in S3")
        if (document["job_id"], document["state"]) != (job_id, job.state):
            yield Violation(RESULT, job_id, f"the object is {document['job_id']} {document['state']}")
        if job.has_receipt:
            yield Violation(RESULT, job_id, "ended, and its receipt is left")
        if job.state == "recognized":
            yield from _reading(job_id, document, paid)


def _reading(job_id: str, document: Record, paid: set[tuple[str, str]]) -> Iterator[Violation]:
    sha256 = document["source"]["sha256"]
    if document["permit"]["cardNum"] != card_number(sha256):
        yield Violation(RESULT, job_id, "the permit is another image's")
    if (sha256, document["request_id"]) not in paid:
        yield Violation(RESULT, job_id, f"the endpoint charged nothing under {document['request_id']} for this image")
