"""The log events: the table of docs/operations.md and the source, each held to the other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("worker", "tasks") for path in (ROOT / folder).rglob("*.py"))
LEVELS = {name: name for name in ("debug", "info", "warning", "error", "critical")} | {"exception": "error"}
NAME = re.compile(r"[a-z_]+\.[a-z_]+")
Event = tuple[str, str]


def events(tree: ast.AST) -> Iterator[Event]:
    """Name and level of every event that a module logs; a name that is not written out is an empty one."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=method), args=[ast.Constant(str(name))]):
                yield name, LEVELS.get(method, method)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=method)):
                yield "", LEVELS.get(method, method)


def written() -> list[Event]:
    section = (ROOT / "docs" / "operations.md").read_text().partition("\n## Log events\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \| (\w+) \|", section, re.MULTILINE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_logs_constant_names_that_the_table_explains(path: Path) -> None:
    logged = set(events(ast.parse(path.read_text())))
    assert set() == {event for event in logged if not NAME.fullmatch(event[0])}
    assert set() == logged - set(written())


def test_the_table_has_each_event_of_the_source_once_and_no_other() -> None:
    logged = {event for path in SOURCES for event in events(ast.parse(path.read_text()))}
    assert sorted(logged) == sorted(written())


@pytest.mark.parametrize(
    "line", ['log.info(f"job.{state}")', "log.info(name)", 'log.info("job." + state)', "log.info()"]
)
def test_a_name_that_is_put_together_is_found_out(line: str) -> None:
    assert [("", "info")] == list(events(ast.parse(line)))


def test_an_exception_is_logged_as_an_error() -> None:
    assert [("job.escaped", "error")] == list(events(ast.parse('log.exception("job.escaped", error=1)')))
