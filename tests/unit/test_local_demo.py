import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local import __main__, tables
from local.checks import Checks
from local.process import ProcessError


@pytest.fixture
def checks() -> Checks:
    return Checks(Console(file=io.StringIO(), width=40))


def test_without_any_expectation_nothing_is_ok(checks: Checks) -> None:
    assert not checks.ok


def test_one_expectation_that_is_not_met_decides(checks: Checks) -> None:
    checks.expect("first", True, "as it should")
    assert checks.ok

    checks.expect("second", False, "not so")
    checks.expect("third", True, "as it should")

    assert not checks.ok


def test_an_expectation_is_printed_as_it_was_met_with_its_detail_as_it_stands(checks: Checks) -> None:
    checks.expect("one dead letter", False, "seen: [('job', '9980')] and nothing else, on one line")

    printed = checks.console.file.getvalue()

    assert "  FAILED one dead letter: seen: [('job', '9980')] and nothing else, on one line\n" == printed


def _facts(**changes: object) -> dict[str, Any]:
    read = {name: name for name in ("cardNum", "nameChn", "nameEng", "birthday", "sex", "validDate", "address")}
    attempts = [{"code": "1005", "ms": 4, "error": None}, {"code": "0000", "ms": 600, "error": None}]
    job = {"job_id": "130a52462d6a4ec8", "file": "hk-1.jpg", "state": "recognized", "code": "0000"}
    return {**job, "permit": read, "truth": read, "attempts": attempts, **changes}


def test_a_row_tells_the_code_and_time_of_every_call() -> None:
    row = tables.row(_facts())

    assert ["130a5246", "hk-1.jpg", "recognized", "1005, 0000"] == row[:4]
    assert "4, 600" == row[-1]
    assert len(tables.COLUMNS) == len(row)


def test_a_field_that_differs_from_the_card_stands_out() -> None:
    truth = _facts()["truth"] | {"nameChn": "printed", "sex": ""}

    row = dict(zip(tables.COLUMNS, tables.row(_facts(truth=truth)), strict=True))

    assert ("[red]nameChn[/]", "[red]sex[/]", "cardNum") == (row["nameChn"], row["sex"], row["cardNum"])


def test_a_job_without_a_call_shows_the_code_of_its_status() -> None:
    row = tables.row(_facts(state="rejected", code="1015", permit=None, truth=None, attempts=[]))

    assert ["rejected", "1015"] == row[2:4]
    assert {""} == set(row[4:])


def test_a_process_that_fails_gives_exit_code_1_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "worker.log"
    log.write_text("HMT_PASS_CONCURRENCY: must be at least 1\n")

    def fail(_: Path) -> int:
        raise ProcessError("worker", "ended with code 1", log)

    monkeypatch.setitem(__main__.COMMANDS, "up", fail)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    assert 1 == __main__.main(["up", "--folder", str(tmp_path)])
    assert capsys.readouterr().err.endswith("HMT_PASS_CONCURRENCY: must be at least 1\n")


@pytest.mark.parametrize(("command", "code"), [("up", 0), ("demo", 130)])
def test_an_interrupt_is_the_way_to_end_up_and_a_failure_of_the_demo(
    command: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Path) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(__main__.COMMANDS, command, interrupted)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    assert code == __main__.main([command])
