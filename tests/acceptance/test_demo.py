import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WELL_UNDER_S = 300  # on a machine that also runs other things; it takes some 25 s on two free cores


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", "demo", "--folder", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=WELL_UNDER_S)


@pytest.fixture(scope="module")
def report(demo: subprocess.CompletedProcess[str], folder: Path) -> dict[str, Any]:
    assert 0 == demo.returncode, demo.stdout + demo.stderr
    found: dict[str, Any] = json.loads((folder / "demo.json").read_text("utf-8"))
    return found


@pytest.mark.timeout(WELL_UNDER_S)
def test_everything_comes_out_as_it_should(report: dict[str, Any]) -> None:
    assert [] == [check for check in report["checks"] if not check["ok"]]
    assert report["ok"]


def test_sixteen_uploads_end_as_fifteen_permits_and_one_rejection(report: dict[str, Any]) -> None:
    states = [job["state"] for job in report["jobs"]]

    assert 15 == states.count("recognized")
    assert ["scan.jpg"] == [job["file"] for job in report["jobs"] if job["state"] == "rejected"]
    assert 15 == report["endpoint"]["charged"]


def test_every_field_is_what_is_printed_on_the_card(report: dict[str, Any]) -> None:
    for job in report["jobs"]:
        assert job["truth"] == job["permit"]


def test_one_job_was_retried_and_one_was_redriven(report: dict[str, Any]) -> None:
    histories = sorted([attempt["code"] for attempt in job["attempts"]] for job in report["jobs"])

    assert [[], *[["0000"]] * 13, ["1005", "0000"], ["9980", "0000"]] == histories


def test_nothing_is_left_running(report: dict[str, Any]) -> None:
    for pid in report["processes"].values():
        with contextlib.suppress(FileNotFoundError):
            assert "Z" == Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_the_console_says_that_the_people_are_invented(demo: subprocess.CompletedProcess[str]) -> None:
    assert "invented" in demo.stdout.splitlines()[0]
