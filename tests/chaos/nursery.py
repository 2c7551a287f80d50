"""Starts real processes in a fraction of a second, by having a preloaded one fork them."""

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.process import Process, clean_environment, tail

SERVER = Path(__file__).with_name("nursery_server.py")


class Child:
    """A process that the nursery forked."""

    def __init__(self, nursery: "Nursery", pid: int, name: str, log: Path) -> None:
        self.pid = pid
        self.name = name
        self.log = log
        self.killed = False
        self._nursery = nursery
        self._code: int | None = None

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._code is None:
            self._code = self._nursery.code(self.pid)
        return self._code

    @property
    def running(self) -> bool:
        return self.code is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens to a process that has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until the kernel has taken it away."""
        self.killed = True
        self.signal(signal.SIGKILL)
        self.wait(10)

    def wait(self, timeout_s: float) -> int:
        """The exit code once it has ended; fails when it has not within `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        while (code := self.code) is None:
            assert time.monotonic() < deadline_s, f"{self.name} still runs after {timeout_s:g} s\n{tail(self.log)}"
            time.sleep(0.01)
        return code

    def wait_for(self, text: str, timeout_s: float = 20.0) -> None:
        """Return once its log has `text`."""
        deadline_s = time.monotonic() + timeout_s
        while text not in self.log.read_text(errors="replace"):
            assert self.running, f"{self.name} ended with {self.code}\n{tail(self.log)}"
            assert time.monotonic() < deadline_s, f"{self.name}: no {text!r} in its log\n{tail(self.log)}"
            time.sleep(0.02)


class Nursery(Process):
    """`with Nursery(log) as nursery`. Its children die with it, and it dies with us."""

    def __init__(self, log: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hmt-nursery-")  # a socket's path must be short
        self._path = f"{self._folder.name}/s"
        # Coverage in the workers would slow every kill test down; the other suites measure them.
        environment = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
        super().__init__("nursery", [sys.executable, str(SERVER), self._path], log, environment)
        self._socket = socket.socket(socket.AF_UNIX)
        self._lock = threading.Lock()

    def ready(self) -> bool:
        try:
            self._socket.connect(self._path)
        except OSError:
            return False
        self._stream = self._socket.makefile("rw")
        return True

    def stop(self) -> bool:
        self.kill()
        self._socket.close()
        self._folder.cleanup()
        return True

    def spawn(
        self, name: str, call: str, log: Path, environment: Mapping[str, str], options: Mapping[str, Any]
    ) -> Child:
        """Have `module:function` called with `options` in a new process."""
        whole = {**clean_environment(), "PYTHONUNBUFFERED": "1", **environment}
        order = {"do": "spawn", "call": call, "log": str(log), "environment": whole, "options": options}
        log.touch(mode=0o600)
        return Child(self, self._ask(order)["pid"], name, log)

    def code(self, pid: int) -> int | None:
        code: int | None = self._ask({"do": "status", "pid": pid})["code"]
        return code

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._stream.write(json.dumps(order) + "\n")
            self._stream.flush()
            answer: dict[str, Any] = json.loads(self._stream.readline())
            return answer
