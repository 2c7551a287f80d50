"""pytest's options for the chaos suite, its seed, and the table at the end of a run."""

import random
from pathlib import Path

import pytest
from chaos.report import Report

REPORT = pytest.StashKey[Report]()
DEFAULT_PATH = ".local/chaos/report.md"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos", "faults of real processes (tests/chaos)")
    group.addoption(
        "--chaos", choices=("short", "full", "soak"), default="short", help="how long to go on (default: short)"
    )
    group.addoption("--chaos-soak-s", type=float, default=3600.0, help="seconds of `--chaos soak` (default: 3600)")
    group.addoption("--chaos-seed", type=int, default=None, help="repeats a run; printed at the end of each")
    group.addoption("--chaos-broker", choices=("redis", "rabbitmq", "both"), default="both", help="default: both")
    group.addoption("--chaos-report", type=Path, default=Path(DEFAULT_PATH), help=f"default: {DEFAULT_PATH}")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "chaos_broker(name): a fault that only this broker knows")
    config.addinivalue_line(
        "markers", "chaos_any_broker: the broker has no part in it: once is enough in the short form"
    )
    config.addinivalue_line("markers", "chaos_full: left out of the short form")
    config.addinivalue_line("markers", "chaos_soak: the only one of `--chaos soak`, and left out of all else")
    given = config.getoption("--chaos-seed")
    config.stash[REPORT] = Report(random.SystemRandom().randrange(10**6) if given is None else given)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the short form has no time for; a skip would count as a failure in CI."""
    form = config.getoption("--chaos")
    left_out = [item for item in items if not _belongs(item, form)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def _belongs(item: pytest.Item, form: str) -> bool:
    is_soak = item.get_closest_marker("chaos_soak") is not None
    return is_soak == (form == "soak") and not (form == "short" and item.get_closest_marker("chaos_full"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    report = config.stash[REPORT]
    if report.rows:
        report.write(config.rootpath / config.getoption("--chaos-report"))
        terminalreporter.section(f"chaos, --chaos-seed {report.seed}")
        terminalreporter.write_line(report.markdown())
        for note in report.notes:
            terminalreporter.write_line(note)


def full(value: object) -> object:
    """A test's parameter that the short form leaves out."""
    return pytest.param(value, marks=pytest.mark.chaos_full)
