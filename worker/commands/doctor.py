"""`doctor`: every setting and connection, and what to do about those that are wrong."""

import click

from worker import doctor as checks
from worker.commands.output import show, with_json


@click.command()
@with_json
def doctor(*, as_json: bool) -> None:
    """Check settings, Redis, S3, clock and endpoint. Makes one call that is never charged. Exit code 1 if one fails."""
    findings = checks.examine()
    lines = [
        f"{'ok    ' if item.ok else 'FAILED'}  {item.subject:<9}  {item.text}{'' if item.ok else f' -> {item.cure}'}"
        for item in findings
    ]
    show([item.as_dict() for item in findings], as_json=as_json, lines=lines)
    if not all(item.ok for item in findings):
        raise click.exceptions.Exit(1)
