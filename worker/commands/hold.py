"""`hold status|set|release|redrive`."""

import time

import click

from hmt_pass import cures
from worker import incidents
from worker.commands.operator import operator
from worker.commands.output import show, show_done, table, with_json
from worker.hold import HoldInfo, ends
from worker.services import services
from worker.why import typed


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
    lines = [f"on hold {ends(info, time.time())}"] if info else ["not on hold"]
    lines += table(_readable(shown)) if shown else []
    show(document, as_json=as_json, lines=[*lines, *_offer(dead)])


@hold.command("set")
@click.option("--reason", required=True, help="Why, for whoever finds the queue standing.")
@with_json
def set_(*, reason: str, as_json: bool) -> None:
    """Stop the fleet by hand."""
    opened = services().hold.open(reason, by=operator())
    line = "on hold: workers stop within a second" if opened else "was on hold already; the first reason stays"
    show_done({"opened": opened}, as_json=as_json, lines=[line])


@hold.command()
@click.option("--now", "at_once", is_flag=True, help="All at once, without the ramp.")
@click.option("--redrive", "redrives", is_flag=True, help="Also move back the jobs that died of what opened it.")
@with_json
def release(*, at_once: bool, redrives: bool, as_json: bool) -> None:
    """Let the fleet go on, slowly at first: the rate doubles every 5 s up to its limit."""
    info = services().hold.info()
    released = services().hold.release(by=operator(), at_once=at_once)
    moved = incidents.redrive(services(), info, operator()) if redrives else 0
    dead = _dead_of(info)
    lines = ["released: workers consume again within a second" if released else "was not on hold"]
    lines += [f"{moved} redriven"] if redrives else []
    show_done(
        {"released": released, "redriven": moved, "dead_of_it": dead}, as_json=as_json, lines=[*lines, *_offer(dead)]
    )


@hold.command()
@with_json
def redrive(*, as_json: bool) -> None:
    """Move back the jobs that died of what opened the last hold."""
    if services().hold.is_on():
        raise click.ClickException("the account is on hold: they would wait. `hold release --redrive` does both")
    moved = incidents.redrive(services(), services().hold.last(), operator())
    show_done({"redriven": moved}, as_json=as_json, lines=[f"{moved} redriven"])


def _readable(info: HoldInfo) -> dict[str, object]:
    """A hold for a person: without what another line says, and while it lasts with what to do."""
    names = {"job_id": "opened_by"}
    shown = {names.get(name, name): value for name, value in info.as_dict().items() if name != "canary_at"}
    cure = typed(cures.cure("", info.code).en) if info.code and not info.released_at else None
    return {**shown, "do": cure}


def _dead_of(info: HoldInfo | None) -> list[str]:
    return [letter.job_id for letter in incidents.dead_of(services(), info)]


def _offer(dead: list[str]) -> list[str]:
    offer = (
        "died of it: `python -m worker hold redrive` moves them back once the account is well; what waits needs nothing"
    )
    return [f"{len(dead)} {offer}"] if dead else []
