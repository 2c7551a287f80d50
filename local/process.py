"""One child process of the laptop stack: its log, its ready check and its end."""

import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

TETHER = Path(__file__).with_name("tether.py")
TAIL_LINES = 20
# What a shell may hold for a real account, and what would send loopback calls through a proxy.
FOREIGN_PREFIXES = ("AWS_", "BROKER_", "CELERY_", "FLOWER_", "HMT_PASS_", "OTEL_", "REDIS_")
LOOPBACK_DIRECT = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


class ProcessError(Exception):
    """A process did not become ready, or ended unasked. The text has the end of its log and says what to do."""

    def __init__(self, name: str, problem: str, log: Path) -> None:
        super().__init__(name, problem, log)
        self.name = name
        self.problem = problem
        self.log = log

    def __str__(self) -> str:
        return (
            f"{self.name} {self.problem}. Mend what the end of its log says and start again.\n"
            f"--- {self.log}\n{tail(self.log)}"
        )


class Process(ABC):
    """A command that runs until it is stopped, in a process group of its own so that Ctrl-C reaches only us.

    Its output is appended to `log`. It inherits our environment without anything that could lead to a real account,
    plus `environment`. It can be started again after its end. As a context manager it is started and stopped.
    """

    ready_timeout_s = 60.0  # warm, some 6 s; on a fresh clone five programs compile their imports side by side
    grace_s = 10.0

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self.log = log
        self.environment = environment or {}
        self.cwd = cwd
        self._child: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def ready(self) -> bool:
        """Whether it does its work now; asked every 50 ms until it does."""

    @property
    def running(self) -> bool:
        """Whether the process was launched and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """Process id; raises RuntimeError when it was never launched."""
        return self._launched().pid

    def start(self) -> None:
        """Launch it and wait until it is ready; raises ProcessError."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the command, tethered to this process. Call it from the main thread (see tether.py)."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *self.command],
                env={**clean_environment(), **self.environment},
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def wait_until_ready(self) -> None:
        """Return as soon as it is ready; raises ProcessError when it ends or `ready_timeout_s` runs out."""
        deadline = time.monotonic() + self.ready_timeout_s
        while not (self.running and self.ready()):
            self.check_running()
            if time.monotonic() > deadline:
                raise ProcessError(self.name, f"was not ready within {self.ready_timeout_s:g} s", self.log)
            time.sleep(0.05)

    def check_running(self) -> None:
        """Return when it still runs; raises ProcessError when it ended by itself."""
        if not self.running:
            raise ProcessError(self.name, f"ended with code {self._launched().returncode}", self.log)

    def stop(self) -> bool:
        """Ask for the end (SIGTERM), wait up to `grace_s`, then kill. Returns whether it ended by itself.

        An interrupt during the wait, a second Ctrl-C, kills at once.
        """
        if not self.running:
            return True
        child = self._launched()
        child.terminate()
        try:
            child.wait(self.grace_s)
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.kill()
        return True

    def kill(self) -> None:
        """End the whole process group with SIGKILL, as a crash would; nothing to do when the process has ended."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
            self._launched().wait()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launched(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise RuntimeError(f"{self.name} was not launched; call start() first")
        return self._child


def clean_environment() -> dict[str, str]:
    """Our environment without the variables that could lead a child to a real account, queue or proxy."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_PREFIXES)
    } | LOOPBACK_DIRECT


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log; a log that is missing or empty says so."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on; another program may take it before it is used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
