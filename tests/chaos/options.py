"""pytest's options for the chaos suite, its seed, and the table at the end of a run."""

import random
from pathlib import Path

import pytest
from chaos.report import Report

REPORT = pytest.StashKey[Report]()
DEFAULT_PATH = ".local/chaos/report.md"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos", "faults of real processes (tests/chaos)")
    group.addoption("--chaos", choices=("short", "full"), default="short", help="how long to go on (default: short)")
    group.addoption("--chaos-seed", type=int, default=None, help="repeats a run; printed at the end of each")
    group.addoption("--chaos-broker", choices=("redis", "rabbitmq", "both"), default="both", help="default: both")
    group.addoption("--chaos-report", type=Path, default=Path(DEFAULT_PATH), help=f"default: {DEFAULT_PATH}")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "chaos_broker(name): a fault that only this broker knows")
    config.addinivalue_line(
        "markers", "chaos_any_broker: the broker has no part in it: once is enough in the short form"
    )
    config.addinivalue_line("markers", "chaos_full: left out of the short form")
    given = config.getoption("--chaos-seed")
    config.stash[REPORT] = Report(random.SystemRandom().randrange(10**6) if given is None else given)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the short form has no time for; a skip would count as a failure in CI."""
    if config.getoption("--chaos") == "short":
        left_out = [item for item in items if item.get_closest_marker("chaos_full")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    report = config.stash[REPORT]
    if report.rows:
        report.write(config.rootpath / config.getoption("--chaos-report"))
        terminalreporter.section(f"chaos, --chaos-seed {report.seed}")
        terminalreporter.write_line(report.markdown())


def full(value: object) -> object:
    """A test's parameter that the short form leaves out."""
    return pytest.param(value, marks=pytest.mark.chaos_full)
