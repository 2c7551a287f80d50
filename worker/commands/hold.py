"""`hold status|set|release`."""

import getpass
import os

import click

from worker.commands.output import show, table, with_json
from worker.services import services


@click.group()
def hold() -> None:
    """The account-wide hold: while it is on, no worker consumes and no call is made."""


@hold.command()
@with_json
def status(*, as_json: bool) -> None:
    """Whether the account is on hold, why, and since when."""
    info = services().hold.info()
    document = {"on": info is not None, **(info.as_dict() if info else {})}
    show(document, as_json=as_json, lines=table(document) if info else ["not on hold"])


@hold.command("set")
@click.option("--reason", required=True, help="Why, for whoever finds the queue standing.")
@with_json
def set_(*, reason: str, as_json: bool) -> None:
    """Stop the fleet by hand."""
    opened = services().hold.open(reason, by=_operator())
    line = "on hold: workers stop within a second" if opened else "was on hold already; the first reason stays"
    show({"opened": opened}, as_json=as_json, lines=[line])


def _operator() -> str:
    """Who types this; in a container the user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


@hold.command()
@with_json
def release(*, as_json: bool) -> None:
    """Let the fleet go on."""
    released = services().hold.release()
    line = "released: workers consume again within a second" if released else "was not on hold"
    show({"released": released}, as_json=as_json, lines=[line])
