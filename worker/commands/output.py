"""What every command shares: --json, progress, and errors that say what to do instead of a traceback."""

import errno
import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from hmt_pass.errors import HmtPassError, SettingsError

Command = Callable[..., None]


def with_json(command: Command) -> Command:
    """Add --json, and turn our errors into one line on stderr and exit code 1 (2 when the environment is wrong)."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    @functools.wraps(command)
    def run(*args: object, **kwargs: object) -> None:
        try:
            command(*args, **kwargs)
        except SettingsError as error:
            click.echo(f"Error: {error}", err=True)
            raise click.exceptions.Exit(2) from None
        except HmtPassError as error:
            raise click.ClickException(str(error) or error.reason) from None

    return run


def show(document: object, *, as_json: bool, lines: Iterable[str]) -> None:
    """Print the document as JSON, or the lines for a person."""
    if as_json:
        echo(json.dumps(document, ensure_ascii=False, indent=1))
        return
    for line in lines:
        echo(line)


def show_done(document: object, *, as_json: bool, lines: Iterable[str]) -> None:
    """The same for what a command has changed: if it cannot be printed, the error tells it too."""
    told = list(lines)
    try:
        show(document, as_json=as_json, lines=told)
    except click.ClickException as error:
        raise click.ClickException(f"{error.message}. What the command did: {'; '.join(told)}") from None


def echo(text: str | bytes, *, nl: bool = True) -> None:
    """Print to stdout. Raises ClickException when it takes no more."""
    with printing():
        click.echo(text, nl=nl)


@contextmanager
def printing() -> Iterator[None]:
    """`written_to` stdout. Python would try once more at its end to write what is left, and fail with a traceback."""
    try:
        with written_to("stdout"):
            yield
    except click.ClickException:
        with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise


@contextmanager
def written_to(name: object) -> Iterator[None]:
    """Turn what a full disk, say, answers to a write into a ClickException that names where.

    A reader that has gone, as `head` does, is click's: the command ends quietly.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise click.ClickException(f"{name}: {error.strerror}") from None


def show_each(documents: Iterable[object], *, as_json: bool, lines: Iterable[str]) -> None:
    """The same for many documents, each printed as it comes; either they or the lines are gone through."""
    if not as_json:
        show(None, as_json=False, lines=lines)
        return
    separator = "["
    for document in documents:
        echo(f"{separator}{json.dumps(document, ensure_ascii=False, indent=1)}", nl=False)
        separator = ",\n"
    echo("[]" if separator == "[" else "]")


@contextmanager
def progress(label: str, length: int, *, as_json: bool) -> Iterator[Callable[[int], object]]:
    """A bar on stderr, for a person who watches; yields what moves it by so many steps."""
    if as_json or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, show_pos=True, file=sys.stderr) as bar:
        yield bar.update


def table(fields: Mapping[str, object]) -> list[str]:
    """`name  value` lines, aligned, without the empty ones."""
    filled = {name: value for name, value in fields.items() if value not in (None, "", [], {})}
    width = max(map(len, filled), default=0)
    return [f"{name:<{width}}  {value}" for name, value in filled.items()]
