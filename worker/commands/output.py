"""What every command shares: --json, progress, and errors that say what to do instead of a traceback."""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

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
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
        return
    for line in lines:
        click.echo(line)


def show_each(documents: Iterable[object], *, as_json: bool, lines: Iterable[str]) -> None:
    """The same for many documents, each printed as it comes; either they or the lines are gone through."""
    if not as_json:
        show(None, as_json=False, lines=lines)
        return
    separator = "["
    for document in documents:
        click.echo(f"{separator}{json.dumps(document, ensure_ascii=False, indent=1)}", nl=False)
        separator = ",\n"
    click.echo("[]" if separator == "[" else "]")


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
