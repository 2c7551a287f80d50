"""`dead-letters plan|redrive|redrives`: see what a redrive would do, do exactly that, see how far it is."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from worker.commands.operator import operator
from worker.commands.output import progress, show, show_done, with_json
from worker.commands.selection import needed, selected, selecting, selecting_some
from worker.plans import Plan, Verdict
from worker.plans import plan as planned
from worker.redrives import Redrive, Redrives
from worker.redriving import DEFAULT_RATE_PER_S, Redriving
from worker.services import services
from worker.wanted import Wanted

_source_check = click.option(
    "--source-check/--no-source-check", "checks_sources", default=True, help="Ask S3 whether each photo is there."
)


@click.command()
@click.option("--name", help="Keep exactly this set under a name, for `redrive NAME`.")
@_source_check
@selecting
@with_json
def plan(*, name: str | None, checks_sources: bool, wanted: Wanted, as_json: bool) -> None:
    """What a redrive would do: how many would be moved, why the others not, calls and cost. Moves nothing."""
    found = _plan(wanted, checks_sources=checks_sources, as_json=as_json)
    if name:
        _keep(name, found, wanted)
    hint = [f"kept as {name}: `dead-letters redrive {name}` moves exactly these"] if name else []
    tell = show_done if name else show
    tell({**found.as_dict(), "name": name}, as_json=as_json, lines=[*_plan_lines(found), *hint])


@click.command()
@click.argument("name", required=False)
@click.option("--rate", "rate_per_s", type=click.IntRange(min=0), default=DEFAULT_RATE_PER_S, show_default=True,
              help="At most so many a second; 0: as fast as it goes.")  # fmt: skip
@click.option("--abort", "calls_off", is_flag=True, help="Move nothing more of NAME, by a run under way neither.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_source_check
@selecting_some
@with_json
def redrive(
    *,
    name: str | None,
    rate_per_s: int,
    calls_off: bool,
    yes: bool,
    checks_sources: bool,
    wanted: Wanted | None,
    as_json: bool,
) -> None:
    """Move dead letters back to their queues with a new budget of attempts, each once.

    NAME is a plan that was kept, or a run that was cut short, by Ctrl-C for one: what is left of it is moved. With
    filters instead, the plan is made now, shown, and kept under a name of its own.
    """
    if name and wanted:
        raise click.UsageError("a plan's name says which already: leave out the filters")
    if calls_off:
        _call_off(name, as_json=as_json)
        return
    name = name or _planned_now(needed(wanted), yes=yes, checks_sources=checks_sources, as_json=as_json)
    if name:
        _run(name, rate_per_s, as_json=as_json)
    else:
        show({"name": None, "redriven": 0}, as_json=as_json, lines=["nothing to redrive"])


@click.command()
@with_json
def redrives(*, as_json: bool) -> None:
    """The named redrives of the last 90 days, and how far they are."""
    found = Redrives(services().dead_letters.store).all()
    lines = [_redrive_line(one) for one in found] or ["no redrives"]
    show([one.as_dict() for one in found], as_json=as_json, lines=lines)


def _plan(wanted: Wanted, *, checks_sources: bool, as_json: bool) -> Plan:
    letters = selected(wanted)
    with progress("looking", services().dead_letters.count(), as_json=as_json) as move:
        return planned(services(), letters, checks_sources=checks_sources, progress=move)


def _keep(name: str, found: Plan, wanted: Wanted) -> None:
    Redrives(services().dead_letters.store).keep(name, found.eligible, operator(), wanted.as_dict())


def _planned_now(wanted: Wanted, *, yes: bool, checks_sources: bool, as_json: bool) -> str | None:
    """Plan, show, ask, keep; returns the name, None when nothing is eligible."""
    found = _plan(wanted, checks_sources=checks_sources, as_json=as_json)
    for line in _plan_lines(found):
        click.echo(line, err=True)
    if not found.eligible:
        return None
    if not yes:
        click.confirm(f"redrive {len(found.eligible)} dead letters?", abort=True, err=True)
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    _keep(name, found, wanted)
    return name


def _run(name: str, rate_per_s: int, *, as_json: bool) -> None:
    found = Redrives(services().dead_letters.store)
    before = found.find(name)
    with progress(f"redriving {name}", before.left, as_json=as_json) as move:
        redriving = Redriving(services(), operator(), move, lambda: click.echo(_WAITS, err=True))
        try:
            moved = redriving.run(name, rate_per_s)
        except KeyboardInterrupt:
            left = found.find(name).left
            raise click.ClickException(f"stopped, {left} left: `dead-letters redrive {name}` goes on") from None
    after = found.find(name)
    hint = ["on hold: they wait for `python -m worker hold release`"] if services().hold.is_on() else []
    document = {"name": name, "redriven": moved, "skipped": after.skipped, "left": after.left}
    show_done(document, as_json=as_json, lines=[*_run_lines(after, moved), *hint])


_WAITS = "waits for another redrive to end; one that was killed is forgotten after 5 s"


def _run_lines(after: Redrive, moved: int) -> Iterator[str]:
    yield f"{moved} redriven as {after.name}"
    if after.skipped:
        yield f"{after.skipped} skipped: gone, or dead again since the plan"
    if after.called_off_at:
        yield f"called off at {after.called_off_at}"


def _call_off(name: str | None, *, as_json: bool) -> None:
    if name is None:
        raise click.UsageError("--abort needs the name of a redrive; `dead-letters redrives` lists them")
    left = Redriving(services(), operator()).call_off(name)
    show_done({"name": name, "left": left}, as_json=as_json, lines=[f"called off; {left} stay dead letters"])


def _redrive_line(one: Redrive) -> str:
    state = (
        "running" if one.running else "called off" if one.called_off_at else f"{one.left} left" if one.left else "done"
    )
    wanted = " ".join(f"{name}={value}" for name, value in one.wanted.items()) or "all"
    counts = f"{one.moved} of {one.planned} moved, {one.skipped} skipped"
    return f"{one.name}  {one.planned_at}  {one.by}  {counts}  {state}  ({wanted})"


def _plan_lines(found: Plan) -> Iterator[str]:
    for verdict, letters in found.letters.items():
        if letters or verdict is Verdict.ELIGIBLE:
            yield f"{len(letters):>7}  {verdict}"
    paid = f"; {found.paid} are paid for already" if found.paid else ""
    cost = "" if found.cost is None else f", cost {found.cost}"
    yield f"{found.calls:>7}  calls expected{cost}{paid}"
