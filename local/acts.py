"""The acts of the demo. Each does what a user or an operator would do, and says what it expects of the system."""

import json
import time
from typing import Any

from hmt_pass import keys
from hmt_pass.permit import Permit
from hmt_pass.status import State, Status
from hmt_pass.store import connect
from local import cards, tables
from local.leaks import leaks
from local.s3 import BUCKET
from local.stage import Sent, Stage, http, until

READ_ALL_S = 90.0
ONE_JOB_S = 30.0
EVENTS_S = 15.0
STAY_HELD_S = 1.5  # the workers look at the hold every 0.5 s
RETRIED, NO_BALANCE = "1005", "9980"


def read_all(stage: Stage, first: list[cards.Card]) -> None:
    """Twelve uploads: eleven recognized, the one that is no image rejected, one of them after a retry."""
    stage.console.rule("Twelve uploads; the endpoint answers one call with 1005 (download timed out)")
    stage.fault(code=RETRIED, count=1)
    sent = stage.send(first)
    statuses = stage.wait(sent, READ_ALL_S)
    tables.show(stage, sent)
    _expect_recognized(stage, "every permit is recognized", [one for one in sent if one.card.truth])
    _expect_rejected(stage, next(status for status, one in zip(statuses, sent, strict=True) if one.card.truth is None))
    _expect_one_retry(stage, sent)


def run_out_of_money(stage: Stage, later: list[cards.Card]) -> None:
    """The account has no money left: one dead letter, the rest held; then the operator lets it all go on."""
    stage.console.rule("The account runs out of money (9980)")
    stage.fault(code=NO_BALANCE, count=1)
    trigger = stage.send(later[:1])
    status = stage.wait(trigger, ONE_JOB_S)[0]
    _expect_dead_letter(stage, status)
    _expect_hold(stage, trigger[0].job_id)
    waiting = stage.send(later[1:])
    _expect_held(stage, waiting)
    stage.console.rule("The operator has paid: release the hold, redrive the dead letter")
    _release_and_redrive(stage)
    stage.wait([*trigger, *waiting], READ_ALL_S)
    tables.show(stage, [*trigger, *waiting])
    _expect_recognized(stage, "held and redriven jobs are recognized", [*trigger, *waiting])


def look_back(stage: Stage) -> None:
    """Where the results lie, what it cost, and that no field of a permit went astray."""
    stage.console.rule("Afterwards")
    example = stage.sent[0].job_id
    stage.console.print(f"  result  s3://{BUCKET}/{_object(example)}", highlight=False)
    stage.console.print(f"  state   Redis hash {keys.job(example)}", highlight=False)
    stage.console.print(f"  Flower  {stage.stack.flower.url} until the demo ends", highlight=False)
    _expect_results_stored(stage)
    _expect_paid_once(stage)
    _expect_clean_logs(stage)
    _expect_clean_flower(stage)


def _expect_recognized(stage: Stage, name: str, sent: list[Sent]) -> None:
    jobs = [tables.facts(stage, one) for one in sent]
    recognized = sum(job["state"] == State.RECOGNIZED for job in jobs)
    stage.checks.expect(name, recognized == len(jobs), f"{recognized} of {len(jobs)} are {State.RECOGNIZED}")
    exact = sum(job["permit"] == job["truth"] for job in jobs)
    stage.checks.expect("all seven fields are what is printed", exact == len(jobs), f"on {exact} of {len(jobs)} cards")


def _expect_rejected(stage: Stage, status: Status) -> None:
    ok = status.state is State.REJECTED and status.code == "1015" and status.attempts == 0
    detail = f"{status.state}, code {status.code}, {status.attempts} calls: {status.reason}"
    stage.checks.expect("the file that is no image is rejected without a call", ok, detail)


def _expect_one_retry(stage: Stage, sent: list[Sent]) -> None:
    """One job, and only one, has an attempt that ended in the forced code, and then one that succeeded."""
    histories = {one.card.name: tables.codes(tables.facts(stage, one)) for one in sent}
    retried = {name: codes for name, codes in histories.items() if RETRIED in codes}
    detail = "; ".join(f"{name}: {' then '.join(codes)}" for name, codes in retried.items())
    ok = list(retried.values()) == [[RETRIED, "0000"]]
    stage.checks.expect("one job was retried after 1005", ok, detail or "no attempt had it")


def _expect_dead_letter(stage: Stage, status: Status) -> None:
    letters = stage.command("dead-letters", "list") or []
    seen = [(letter["job_id"], letter["code"]) for letter in letters]
    ok = status.state is State.DEAD and seen == [(status.job_id, NO_BALANCE)]
    detail = f"job {status.job_id[:8]} is {status.state}, {len(letters)} dead letter: {status.reason}"
    stage.checks.expect("9980 makes one dead letter", ok, detail)


def _expect_hold(stage: Stage, job_id: str) -> None:
    hold: dict[str, Any] = stage.command("hold", "status") or {}
    ok = hold.get("on") is True and hold.get("code") == NO_BALANCE and hold.get("job_id") == job_id
    detail = f"since {hold.get('since')}: {hold.get('code')} {hold.get('reason')}"
    stage.checks.expect("the account is on hold", ok, detail)


def _expect_held(stage: Stage, waiting: list[Sent]) -> None:
    """The jobs are held and stay so, and the endpoint sees none of them."""
    calls = stage.counters()["calls"]
    time.sleep(STAY_HELD_S)
    states, more = stage.states(waiting), stage.counters()["calls"] - calls
    ok = set(states) == {State.HELD} and more == 0
    detail = f"{states.count(State.HELD)} of {len(waiting)} are {State.HELD}, {more} calls in {STAY_HELD_S:g} s"
    stage.checks.expect("the jobs behind it are held, not burned", ok, detail)


def _release_and_redrive(stage: Stage) -> None:
    released = stage.command("hold", "release", "--redrive")
    ok = released == {"released": True, "redriven": 1, "dead_of_it": []}
    stage.checks.expect("hold released and dead letter redriven", ok, json.dumps(released))


def _object(job_id: str) -> str:
    """The result's key in S3 with the default prefix."""
    return f"hmt-pass/{job_id}.json"


def _expect_results_stored(stage: Stage) -> None:
    """Every job has its object in S3 and its hash in Redis, and there are no others."""
    listed = stage.stack.s3.client.list_objects_v2(Bucket=BUCKET, Prefix="hmt-pass/")
    objects = {item["Key"] for item in listed.get("Contents", [])}
    wanted = {_object(one.job_id) for one in stage.sent}
    stage.checks.expect("results lie in S3", objects == wanted, f"{len(objects & wanted)} of {len(wanted)} objects")
    with connect(stage.stack.redis.url) as store:
        hashes = sum(store.exists(keys.job(one.job_id)) for one in stage.sent)
    stage.checks.expect("states lie in Redis", hashes == len(wanted), f"{hashes} of {len(wanted)} hashes")


def _expect_paid_once(stage: Stage) -> None:
    charged, recognized = stage.counters()["charged"], stage.states(stage.sent).count(State.RECOGNIZED)
    detail = f"{charged} charges, {recognized} permits"
    stage.checks.expect("each permit was paid for once", charged == recognized, detail)


def _expect_clean_logs(stage: Stage) -> None:
    logs = sorted(stage.stack.logs.glob("*.log"))
    found = {log.name: leaks(log.read_text(errors="replace"), _permits(stage)) for log in logs}
    dirty = "; ".join(f"{name}: {', '.join(fields)}" for name, fields in found.items() if fields)
    size_kb = sum(log.stat().st_size for log in logs) // 1000
    detail = dirty or f"{len(logs)} logs, {size_kb} KB searched"
    stage.checks.expect("no log holds a field of a permit", bool(logs) and not dirty, detail)


def _expect_clean_flower(stage: Stage) -> None:
    """Flower knows every job, and none of its arguments or results holds a field."""
    tasks: dict[str, Any] = {}

    def knows_all() -> bool:
        tasks.update(http("GET", f"{stage.stack.flower.url}/api/tasks"))
        return {one.job_id for one in stage.sent} <= set(tasks)

    complete = until(knows_all, EVENTS_S)
    found = leaks(json.dumps(tasks, ensure_ascii=False), _permits(stage))
    detail = ", ".join(found) or f"{len(tasks)} tasks searched"
    stage.checks.expect("Flower shows every job and no field of a permit", complete and not found, detail)


def _permits(stage: Stage) -> list[Permit]:
    return [one.card.truth for one in stage.sent if one.card.truth]
