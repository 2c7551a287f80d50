"""What holds for every test: unit tests reach no network, and CI takes a skipped test for a failed one."""

import logging
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest

pytest_plugins = ["chaos.options", "system"]

UNIT = Path(__file__).with_name("unit")
SKIPS_FAIL = bool(os.environ.get("HMT_PASS_NO_SKIPS"))


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if UNIT in item.path.parents:
            item.add_marker(pytest.mark.disable_socket)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _fail_a_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_a_skip(report)
    return report


def _fail_a_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if SKIPS_FAIL and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, and HMT_PASS_NO_SKIPS is set: {report.longrepr}"


@pytest.fixture
def root_logger() -> Iterator[None]:
    """The root logger as it was, once the test has had it changed."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
