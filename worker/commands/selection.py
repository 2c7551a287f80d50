"""The options that say which dead letters a command is for, the same for every command."""

import functools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import click

from worker.commands.output import Command
from worker.letters import DeadLetter, LetterId
from worker.services import services
from worker.wanted import ALL, Wanted

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FAR = 2**31  # seconds, some 68 years


class _Moment(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """A date or time in ISO 8601, UTC when it names no offset, as Unix time."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-11-26 or 2026-11-26T09:30", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class _Age(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """A duration such as 90s, 30m, 2h or 7d, as the Unix time so long ago."""

    name = "age"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d{1,9})([smhd])", value)
        if not match or (age_s := int(match[1]) * _UNITS_S[match[2]]) > _FAR:
            self.fail(f"{value!r} is no duration such as 90s, 30m, 2h or 7d", param, ctx)
        return time.time() - age_s


_OPTIONS = (
    click.option("--job", "job_ids", multiple=True, help="Only that of this job; may be repeated."),
    click.option("--code", help="Only those with this business code."),
    click.option("--reason", help="Only those whose reason contains this text."),
    click.option("--image", metavar="PREFIX", help="Only those whose image begins with this, s3://bucket/2026/ say."),
    click.option("--since", type=_Moment(), help="Only those that died at this time or later, ISO 8601, UTC."),
    click.option("--until", type=_Moment(), help="Only those that died at this time or before."),
    click.option("--older-than", type=_Age(), help="Only those that died longer ago than 90s, 30m, 2h, 7d."),
    click.option("--redriven/--never-redriven", default=None, help="Only those of jobs that were moved back before."),
    click.option("--limit", type=click.IntRange(min=1), help="Only the oldest so many."),
)


def selecting(command: Command) -> Command:
    """Add the filter's options; the command gets `wanted`, and without any option it is for all."""

    @functools.wraps(command)
    def run(*args: object, until: float | None, older_than: float | None, **rest: object) -> None:
        times = [moment for moment in (until, older_than) if moment is not None]
        asked = {name: rest.pop(name) for name in ("job_ids", "code", "reason", "image", "since", "redriven", "limit")}
        command(*args, wanted=Wanted(until=min(times, default=None), **asked), **rest)  # type: ignore[arg-type]  # click's

    return _with(run, _OPTIONS)


def selecting_some(command: Command) -> Command:
    """The same for a command that changes something: all of them have to be asked for, by --all."""

    @functools.wraps(command)
    def run(*args: object, wanted: Wanted, everything: bool, **rest: object) -> None:
        if wanted != ALL and everything:
            raise click.UsageError("--all is for every dead letter; leave out the other filters, or leave out --all")
        command(*args, wanted=wanted if everything or wanted != ALL else None, **rest)

    return _with(selecting(run), [click.option("--all", "everything", is_flag=True, help="Every dead letter.")])


def _with(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def selected(wanted: Wanted) -> Iterator[tuple[LetterId, DeadLetter]]:
    """The dead letters that are meant, oldest first. Raises ClickException for a named job that has none."""
    letters = services().dead_letters
    missing = letters.missing(wanted.job_ids)
    if missing:
        raise click.ClickException(f"no dead letter for {', '.join(missing)}")
    return letters.select(wanted)


def needed(wanted: Wanted | None) -> Wanted:
    """The filter of a command that must have one. Raises UsageError."""
    if wanted is None:
        raise click.UsageError("say which: --job, --code or another filter, or --all")
    return wanted
