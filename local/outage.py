"""The acts of the rehearsal: the account runs dry with the queue full, is topped up, and the fleet gets over it."""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.progress import track

from hmt_pass.codes import Code
from hmt_pass.status import State
from local import pictures, tables
from local.stage import Sent, Stage, until
from local.timeline import Figures, Timeline

NO_BALANCE = Code.NO_BALANCE.value
LATENCY_S = 0.3
"""Of the endpoint's answers, as of the paid one's."""

RUN_DRY_AT = 0.4
"""The share of the jobs that are done when the account runs dry."""

RAMP_STEP_S = 5
RAMP_STEPS = 6
FIRST_STEP = 64
"""The ramp: from a 64th of the limit it doubles every 5 s (worker.call_scripts)."""

OPENING_S = 0.25
"""More than it takes to write a hold down: what began a moment before is not a call during it."""

UPLOADS_AT_ONCE = 4
SETTLE_S = 60.0
JOB_S = 0.25
"""So long at most a job takes the fleet, on a slow machine."""


@dataclass(slots=True)
class Outage:
    """One rehearsal: what is played, with whom, and what is known of it so far. Times are Unix times in seconds."""

    stage: Stage
    timeline: Timeline
    jobs: int
    lasts_s: float
    rate_per_s: float
    held: dict[str, Any] = field(default_factory=dict)
    released: dict[str, Any] = field(default_factory=dict)
    calls: list[Mapping[str, str]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def opened_at(self) -> float:
        """When the hold began."""
        return _unix(self.held["since"])

    @property
    def released_at(self) -> float:
        """When the canary found the account well."""
        return _unix(self.released["released_at"])

    def watch(self, condition: Callable[[Figures], bool], timeout_s: float = SETTLE_S) -> Figures:
        """See Timeline.watch."""
        return self.timeline.watch(condition, timeout_s)

    def expect(self, name: str, ok: bool, detail: str) -> None:
        """See Checks.expect."""
        self.stage.checks.expect(name, ok, detail)


def play(outage: Outage) -> None:
    """Act by act, for as long as everything comes out as it should: each builds on the one before."""
    checks = outage.stage.checks
    for act in (fill_the_queue, run_dry, heal, drain, redrive, audit):
        if checks.met == len(checks.made):
            act(outage)


def fill_the_queue(outage: Outage) -> None:
    """Upload and enqueue all, and let the fleet get into its stride."""
    stage = outage.stage
    stage.console.rule(f"{outage.jobs} photos are uploaded and enqueued; {len(stage.stack.workers)} workers read them")
    stage.fault(latency_s=LATENCY_S)
    cards = list(pictures.numbered(outage.jobs))
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        uploads = list(track(pool.map(stage.upload, cards), "  uploading", outage.jobs, console=stage.console))
    job_ids = stage.producer.enqueue_many(uploads)
    stage.sent += [Sent(card, job_id) for card, job_id in zip(cards, job_ids, strict=True)]
    outage.timeline.say(f"{len(set(job_ids))} jobs are in the queue")
    enough = outage.jobs * RUN_DRY_AT
    outage.watch(lambda now: now.recognized >= enough, timeout_s=outage.jobs * JOB_S + SETTLE_S)


def run_dry(outage: Outage) -> None:
    """No money left: one dead letter; what was under way goes back, and everything waits."""
    stage = outage.stage
    stage.console.rule(f"The account runs dry: every call is answered {NO_BALANCE} for {outage.lasts_s:g} s")
    outage.timeline.say(f'POST /_faults {{"code": "{NO_BALANCE}", "for_s": {outage.lasts_s:g}}}')
    stage.fault(code=NO_BALANCE, for_s=outage.lasts_s)
    outage.watch(lambda now: now.on_hold and now.under_way == 0)
    states: Counter[State] = Counter()

    def is_settled() -> bool:
        states.clear()
        states.update(stage.states(stage.sent))
        return set(states) == {State.RECOGNIZED, State.HELD, State.DEAD} and states[State.DEAD] == 1

    settled = until(is_settled, SETTLE_S)
    found = ", ".join(f"{count} {state}" for state, count in states.most_common())
    outage.expect("one job is dead, all others are done or wait", settled, found)
    outage.held = stage.command("hold", "status") or {}
    outage.expect(
        "the first refusal opened the hold for the fleet",
        (outage.held.get("on"), outage.held.get("code")) == (True, NO_BALANCE),
        f"since {outage.held.get('since')}: {outage.held.get('reason')}; incident {outage.held.get('incident')}",
    )
    letters = stage.command("dead-letters", "list") or []
    outage.expect(
        "it cost the job that found out",
        [letter["job_id"] for letter in letters] == [outage.held.get("job_id")],
        f"{len(letters)} dead letter of {outage.jobs} jobs",
    )


def heal(outage: Outage) -> None:
    """Canaries are refused until the account is topped up; the next one finds that out, unasked."""
    stage = outage.stage
    stage.console.rule(f"Topped up after {outage.lasts_s:g} s; nobody tells the fleet")
    outage.watch(lambda now: not now.on_hold, timeout_s=outage.lasts_s + SETTLE_S)
    outage.released = stage.command("hold", "status") or {}
    by, tries = str(outage.released.get("released_by")), outage.released.get("tries", 0)
    outage.expect("a canary finds out", by.startswith("canary ") and tries > 0, f"{tries} in vain, then {by}")


def drain(outage: Outage) -> None:
    """The ramp, then full speed, until only the dead letter is left."""
    outage.stage.console.rule(f"The ramp: from a {FIRST_STEP}th of the rate, twice as much every {RAMP_STEP_S} s")
    timeout_s = outage.jobs * JOB_S + RAMP_STEPS * RAMP_STEP_S + SETTLE_S
    last = outage.watch(lambda now: (now.waiting, now.recognized + now.dead) == (0, outage.jobs), timeout_s)
    outage.expect("the queue drains", last.recognized == outage.jobs - 1, f"{last.recognized} recognized")


def redrive(outage: Outage) -> None:
    """What died of the outage, and nothing else, goes back."""
    outage.stage.console.rule("The operator has the incident's dead letter redriven")
    moved = outage.stage.command("hold", "redrive")
    last = outage.watch(lambda now: now.recognized == outage.jobs)
    outage.expect("the job that died of it is redriven", moved == {"redriven": 1}, f"{moved}")
    outage.expect("no dead letter is left", last.dead == 0, f"{last.dead}")


def audit(outage: Outage) -> None:
    """Every job, every call and every charge: the endpoint's books beside ours."""
    outage.stage.console.rule("Audit")
    printed = outage.stage.printed_by("ledger", "--since", "2000-01-01", "--csv") or ""
    outage.calls = list(csv.DictReader(printed.splitlines()))
    _expect_all_recognized(outage)
    _expect_paid_once(outage)
    _expect_silence(outage)
    _expect_ramp(outage)


def _expect_all_recognized(outage: Outage) -> None:
    jobs = [tables.facts(outage.stage, one) for one in outage.stage.sent]
    own = sum(job["state"] == State.RECOGNIZED and job["permit"] == job["truth"] for job in jobs)
    outage.expect("every job has the fields of its own photo", own == outage.jobs, f"{own} of {outage.jobs}")


def _expect_paid_once(outage: Outage) -> None:
    paid = Counter(call["job_id"] for call in outage.calls if call["charge"] == "1")
    unclear = sum(call["possibly_charged"] == "True" for call in outage.calls)
    books = outage.stage.counters()
    ok = set(paid) == {one.job_id for one in outage.stage.sent} and set(paid.values()) == {1} and unclear == 0
    detail = f"{paid.total()} charges for {len(paid)} jobs in the ledger, {unclear} possible ones"
    outage.expect("each job is paid for once", ok, detail)
    same = (books["calls"], books["charged"]) == (len(outage.calls), paid.total())
    detail = f"{len(outage.calls)} calls, {paid.total()} charges; the endpoint: {books['calls']}, {books['charged']}"
    outage.expect("the ledger is what the endpoint counted", same, detail)
    outage.facts |= {"calls": len(outage.calls), "charges": paid.total()}


def _expect_silence(outage: Outage) -> None:
    """What was refused was under way as the account ran dry, or a canary."""
    tries, closed_at = outage.released["tries"], outage.opened_at + OPENING_S
    refused = [call for call in outage.calls if call["code"] == NO_BALANCE]
    caught = [call for call in refused if _unix(call["started_at"]) <= closed_at]
    during = [call for call in outage.calls if closed_at < _unix(call["started_at"]) < outage.released_at]
    detail = f"{len(caught)} calls were under way and refused: 1 job died of it, {len(caught) - 1} went back"
    others = len(outage.calls) - len(refused) - outage.facts["charges"]
    outage.expect("nothing else was burned", (len(refused), others) == (len(caught) + tries, 0), detail)
    detail = f"{len(during)} calls in {outage.released_at - outage.opened_at:.0f} s"
    outage.expect("no call but the canaries' during the hold", len(during) == tries + 1, detail)
    outage.facts |= {"refused_under_way": len(caught), "canaries": len(during)}


def _expect_ramp(outage: Outage) -> None:
    begun = Counter(int((_unix(call["started_at"]) - outage.released_at) // RAMP_STEP_S) for call in outage.calls)
    rates = [begun[step] / RAMP_STEP_S for step in range(RAMP_STEPS)]
    allowed = [outage.rate_per_s / FIRST_STEP * 2**step for step in range(RAMP_STEPS)]
    ok = rates[0] > 0 and all(rate <= most * 1.1 + 1 for rate, most in zip(rates, allowed, strict=True))
    detail = f"calls a second {_numbers(rates)}; allowed {_numbers(allowed)}"
    outage.expect("the backlog comes by the ramp", ok, detail)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
