import subprocess
import sys
from types import SimpleNamespace

import pytest
from watched import Time

from worker import beats

# Two children, as billiard numbers them; one is killed in mid-air, and another takes over its place.
FORKING = """
import os, signal
from billiard.process import current_process
from worker import beats

def child(index, missed):
    if not (pid := os.fork()):
        current_process().index = index
        beats.beat(missed)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)

beats.beat(1)
child(0, 2)
child(1, 4)
child(1, 8)
print(beats.missed(), beats.oldest_age_s() > 0)
"""


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    for name in ("_beaten_at", "_missed"):
        monkeypatch.setattr(f"worker.beats.{name}", [0, 0, 0])
    return Time.of(monkeypatch, "beats")


def beat(monkeypatch: pytest.MonkeyPatch, process: SimpleNamespace, missed: int = 0) -> None:
    monkeypatch.setattr("worker.beats.current_process", lambda: process)
    beats.beat(missed)


def test_a_parent_sees_what_its_children_beat_and_miss_also_when_they_are_killed() -> None:
    answer = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True, timeout=60)
    assert "15 True\n" == answer.stdout


def test_the_latest_of_all_processes_counts(monkeypatch: pytest.MonkeyPatch, time: Time) -> None:
    parent, child = SimpleNamespace(), SimpleNamespace(index=1)
    assert 0 == beats.oldest_age_s()
    beat(monkeypatch, child)
    time.now_s += 5
    beat(monkeypatch, parent)
    time.now_s += 2
    assert 7 == beats.oldest_age_s()
    beat(monkeypatch, child)
    assert 2 == beats.oldest_age_s()
