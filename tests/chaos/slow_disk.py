"""A disk that takes its time to sync: strace holds up every fdatasync of a process."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.stage import until


@contextmanager
def slow_disk(pid: int, sync_takes_s: float) -> Iterator[None]:
    """Every sync of the process takes that long while the block runs, in which it may be killed (Linux).

    Skips the test where strace is not installed.
    """
    program = shutil.which("strace")
    if program is None:
        pytest.skip("no strace to hold up a disk: apt-get install strace")
    delay = f"inject=fdatasync:delay_enter={sync_takes_s * 1e6:.0f}"
    command = [program, "-f", "-p", str(pid), "-e", "trace=fdatasync", "-e", delay]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
        try:
            assert until(lambda: _is_traced(pid), 10), "strace may not look into Redis: it needs root or CAP_SYS_PTRACE"
            yield
        finally:
            tracer.terminate()


def _is_traced(pid: int) -> bool:
    threads = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return not any("TracerPid:\t0\n" in status for status in threads)
