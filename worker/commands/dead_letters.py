"""`dead-letters groups|list|show|export`; plan, redrive and discard have files of their own."""

import json
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from worker.commands.discard import discard
from worker.commands.output import show, show_done, show_each, table, with_json, written_to
from worker.commands.redrive import plan, redrive, redrives
from worker.commands.selection import selected, selecting
from worker.letter_groups import Group, group
from worker.letters import DeadLetter
from worker.services import services
from worker.wanted import Wanted


@click.group("dead-letters")
def dead_letters() -> None:
    """Jobs that failed for good. Looking at them moves nothing."""


for command in (plan, redrive, redrives, discard):
    dead_letters.add_command(command)


@dead_letters.command()
@selecting
@with_json
def groups(*, wanted: Wanted, as_json: bool) -> None:
    """How many of each code and reason, the largest group first, since when, and what to do about them."""
    found = group(letter for _, letter in selected(wanted))
    lines = [line for one in found for line in _group_lines(one)]
    show([one.as_dict() for one in found], as_json=as_json, lines=lines or ["no dead letters"])


def _group_lines(one: Group) -> Iterator[str]:
    yield f"{one.count:>7}  {one.code or '-':4}  {one.reason}"
    again = f", {one.redriven} redriven before" if one.redriven else ""
    for line in (f"{one.oldest_at[:19]} to {one.newest_at[:19]}{again}", one.cure.en, one.cure.zh):
        yield f"{'':15}{line}"


@dead_letters.command("list")
@selecting
@with_json
def list_(*, wanted: Wanted, as_json: bool) -> None:
    """One line a dead letter, oldest first."""
    letters = (letter for _, letter in selected(wanted))
    show_each((letter.as_dict() for letter in letters), as_json=as_json, lines=_lines(letters))


def _lines(letters: Iterator[DeadLetter]) -> Iterator[str]:
    found = False
    for letter in letters:
        found = True
        again = f"redriven {letter.redriven}x  " if letter.redriven else ""
        yield f"{letter.job_id}  {letter.dead_at}  {letter.code or '-':4}  {letter.reason}  {again}{letter.image}"
    if not found:
        yield "no dead letters"


@dead_letters.command("show")
@click.argument("job_id")
@with_json
def show_(*, job_id: str, as_json: bool) -> None:
    """Everything known of one dead letter, and what to do about it."""
    letter = services().dead_letters.find(job_id)
    if letter is None:
        raise click.ClickException(f"no dead letter for {job_id}; ask `python -m worker status {job_id}`")
    shown = {**letter.as_dict(), "request_ids": ", ".join(letter.request_ids)}
    attempts = [
        f"attempt {item['attempt']}  {item['started_at']}  {item.get('ms')} ms  {item.get('code') or item.get('error')}"
        f"  charge {item.get('charge')}  {item.get('request_id') or '-'}"
        for item in shown.pop("attempts")
    ]
    past = [f"redriven  {one['at']}  by {one['by']}  as {one['name']}" for one in shown.pop("redrives")]
    show(letter.as_dict(), as_json=as_json, lines=[*table(shown), *attempts, *past])


@dead_letters.command()
@click.option("--file", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write here, not to stdout.")
@selecting
@with_json
def export(*, path: Path | None, wanted: Wanted, as_json: bool) -> None:
    """One JSON object a line and dead letter, oldest first. Moves nothing."""
    lines = (json.dumps(letter.as_dict(), ensure_ascii=False) for _, letter in selected(wanted))
    if path is None:
        show(None, as_json=False, lines=lines)
        return
    with written_to(path):
        count = _write(path, lines)
    show_done({"exported": count, "file": str(path)}, as_json=as_json, lines=[f"{count} exported to {path}"])


def _write(path: Path, lines: Iterable[str]) -> int:
    """Write the lines in place of what is there once all are written; a device or a pipe gets them at once."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        return _write_to(path, lines)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        count = _write_to(draft, lines)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return count


def _write_to(path: Path, lines: Iterable[str]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for line in lines:
            file.write(line + "\n")
            count += 1
    return count
