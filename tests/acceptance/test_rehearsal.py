import json
import subprocess
import sys
from pathlib import Path

import pytest

JOBS, OUTAGE_S = 500, 12
WELL_UNDER_S = 240  # on a machine that also runs other things; it takes some 75 s on two free cores


@pytest.mark.timeout(WELL_UNDER_S + 30)
def test_a_fleet_gets_over_an_outage_by_itself(tmp_path: Path) -> None:
    """On Redis: tests/integration/test_hold.py has the same on RabbitMQ, bit by bit."""
    command = [sys.executable, "-m", "local", "rehearse", "--folder", str(tmp_path), "--jobs", str(JOBS)]
    done = subprocess.run(
        [*command, "--outage-s", str(OUTAGE_S)],
        capture_output=True,
        text=True,
        check=False,
        timeout=WELL_UNDER_S,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    report = json.loads((tmp_path / "rehearsal.json").read_text("utf-8"))
    assert (True, JOBS, JOBS) == (report["ok"], report["jobs"], report["charges"])
    assert report["refused_under_way"] >= 1
    assert JOBS + report["refused_under_way"] + report["canaries"] - 1 == report["calls"]
    assert [] == [check for check in report["checks"] if not check["ok"]]
    for told in ("opens the hold: 9980", "sends a canary", "still ill 9980", "healed 0000", "consumes again"):
        assert told in done.stdout
