"""`dead-letters list|show|redrive|discard`."""

from collections.abc import Iterable
from contextlib import suppress

import click

from hmt_pass.errors import StoreError
from worker.commands.output import Command, show, table, with_json
from worker.dead_letters import DeadLetter
from worker.services import services


@click.group("dead-letters")
def dead_letters() -> None:
    """Jobs that failed for good. Looking at them moves nothing."""


def _selection(command: Command) -> Command:
    """Which dead letters a command is for: job ids, a filter, or --all."""
    for option in (
        click.argument("job_ids", nargs=-1),
        click.option("--code", help="Only those with this business code."),
        click.option("--reason", help="Only those whose reason contains this text."),
        click.option("--all", "everything", is_flag=True, help="Every one that the filters leave."),
    ):
        command = option(command)
    return command


def _selected(job_ids: tuple[str, ...], code: str | None, reason: str | None, *, everything: bool) -> list[DeadLetter]:
    if not (job_ids or code or reason or everything):
        raise click.UsageError("name job ids, or --code, --reason or --all")
    missing = [job_id for job_id in job_ids if services().dead_letters.find(job_id) is None]
    if missing:
        raise click.ClickException(f"no dead letter for {', '.join(missing)}")
    return [letter for letter in _filtered(code, reason) if not job_ids or letter.job_id in job_ids]


def _filtered(code: str | None, reason: str | None) -> Iterable[DeadLetter]:
    return (letter for letter in services().dead_letters.list(code) if not reason or reason in letter.reason)


def _tidy() -> None:
    with suppress(StoreError):  # what was asked for is done; housekeeping tidies too
        services().dead_letters.keep_in_step()


@dead_letters.command("list")
@click.option("--code", help="Only those with this business code.")
@click.option("--reason", help="Only those whose reason contains this text.")
@with_json
def list_(*, code: str | None, reason: str | None, as_json: bool) -> None:
    """One line a dead letter, oldest first."""
    letters = list(_filtered(code, reason))
    lines = [f"{item.job_id}  {item.dead_at}  {item.code or '-':4}  {item.reason}  {item.image}" for item in letters]
    show([letter.as_dict() for letter in letters], as_json=as_json, lines=lines or ["no dead letters"])


@dead_letters.command("show")
@click.argument("job_id")
@with_json
def show_(*, job_id: str, as_json: bool) -> None:
    """Everything known of one dead letter."""
    letter = services().dead_letters.find(job_id)
    if letter is None:
        raise click.ClickException(f"no dead letter for {job_id}; ask `python -m worker status {job_id}`")
    show(letter.as_dict(), as_json=as_json, lines=table(letter.as_dict()))


@dead_letters.command()
@_selection
@with_json
def redrive(*, job_ids: tuple[str, ...], code: str | None, reason: str | None, everything: bool, as_json: bool) -> None:
    """Move dead letters back to their queues with a new budget of attempts, each once."""
    moved = []
    for letter in _selected(job_ids, code, reason, everything=everything):
        services().claims.revive(letter.job_id)
        if services().dead_letters.redrive(letter.job_id):
            moved.append(letter.job_id)
    _tidy()
    hint = ["on hold: they wait for `python -m worker hold release`"] if services().hold.is_on() else []
    show({"redriven": moved}, as_json=as_json, lines=[*moved, f"{len(moved)} redriven", *hint])


@dead_letters.command()
@_selection
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_json
def discard(
    *, job_ids: tuple[str, ...], code: str | None, reason: str | None, everything: bool, yes: bool, as_json: bool
) -> None:
    """Drop dead letters for good. The jobs stay `dead` until their state expires."""
    letters = _selected(job_ids, code, reason, everything=everything)
    if not yes:
        click.confirm(f"discard {len(letters)} dead letters for good?", abort=True, err=True)
    gone = [letter.job_id for letter in letters if services().dead_letters.discard(letter.job_id)]
    for job_id in gone:
        services().claims.expire(job_id, services().settings.status_ttl_s)
    _tidy()
    show({"discarded": gone}, as_json=as_json, lines=[*gone, f"{len(gone)} discarded"])
