"""`hold status|set|release|redrive`."""

import time

import click

from worker.commands.operator import operator
from worker.commands.output import show, table, with_json
from worker.hold import HoldInfo
from worker.services import services


@click.group()
def hold() -> None:
    """The account-wide hold: while it is on, no worker consumes, and no call is made but the canary's."""


@hold.command()
@with_json
def status(*, as_json: bool) -> None:
    """Whether the account is on hold, why, since when, and how it ends; else how the last hold ended."""
    info = services().hold.info()
    shown = info or services().hold.last()
    dead = _dead_of(shown)
    document = {"on": info is not None, **(shown.as_dict() if shown else {}), "dead_of_it": dead}
    lines = [_ends(info)] if info else ["not on hold"]
    if shown:
        lines += table({name: value for name, value in shown.as_dict().items() if name != "canary_at"})
    if dead:
        lines.append(_offer(dead))
    show(document, as_json=as_json, lines=lines)


@hold.command("set")
@click.option("--reason", required=True, help="Why, for whoever finds the queue standing.")
@with_json
def set_(*, reason: str, as_json: bool) -> None:
    """Stop the fleet by hand."""
    opened = services().hold.open(reason, by=operator())
    line = "on hold: workers stop within a second" if opened else "was on hold already; the first reason stays"
    show({"opened": opened}, as_json=as_json, lines=[line])


@hold.command()
@click.option("--now", "at_once", is_flag=True, help="All at once, without the ramp.")
@click.option("--redrive", "redrives", is_flag=True, help="Also move back the jobs that died of what opened it.")
@with_json
def release(*, at_once: bool, redrives: bool, as_json: bool) -> None:
    """Let the fleet go on, slowly at first: the rate doubles every 5 s up to its limit."""
    info = services().hold.info()
    released = services().hold.release(by=operator(), at_once=at_once)
    dead = _dead_of(info)
    moved = _redrive(dead) if redrives else []
    line = "released: workers consume again within a second" if released else "was not on hold"
    lines = [line, f"{len(moved)} redriven"] if redrives else [line, *([_offer(dead)] if dead else [])]
    show({"released": released, "redriven": moved, "dead_of_it": dead}, as_json=as_json, lines=lines)


@hold.command()
@with_json
def redrive(*, as_json: bool) -> None:
    """Move back the jobs that died of what opened the last hold."""
    if services().hold.is_on():
        raise click.ClickException("the account is on hold: they would wait. `hold release --redrive` does both")
    moved = _redrive(_dead_of(services().hold.last()))
    show({"redriven": moved}, as_json=as_json, lines=[*moved, f"{len(moved)} redriven"])


def _ends(info: HoldInfo) -> str:
    """How a hold ends, in words."""
    if info.canary_at is None:
        return "on hold until there is budget again" if info.kind == "budget" else "on hold until somebody releases it"
    wait_s = info.canary_at - time.time()
    return (
        f"on hold; the next canary may go in {wait_s:.0f} s"
        if wait_s > 0
        else "on hold; a canary goes with the next job"
    )


def _dead_of(info: HoldInfo | None) -> list[str]:
    """The jobs that died of what opened the hold and are dead still."""
    if info is None:
        return []
    died = services().hold.died_of(info.incident)
    return sorted(job_id for job_id in died if services().dead_letters.find(job_id))


def _redrive(job_ids: list[str]) -> list[str]:
    moved = []
    for job_id in job_ids:
        services().claims.revive(job_id)
        if services().dead_letters.redrive(job_id):
            moved.append(job_id)
    return moved


def _offer(dead: list[str]) -> str:
    return f"{len(dead)} dead of it: `python -m worker hold redrive` moves them back once the account is well"
