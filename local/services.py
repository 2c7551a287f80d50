"""The processes of the project itself: endpoint, worker, exporter, Flower. Each is run as a user would run it."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import celery
import requests
from kombu.exceptions import OperationalError

from local.process import Process, free_port

CHECKOUT = Path(__file__).parents[1]
QUESTION_TIMEOUT_S = 1.0


class WebService(Process):
    """A process that is ready when its `health_path` answers with success."""

    health_path: str

    def __init__(self, name: str, command: list[str], log: Path, environment: Mapping[str, str], port: int) -> None:
        super().__init__(name, [sys.executable, "-m", *command], log, environment, cwd=CHECKOUT)
        self.url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        """Whether it answers."""
        with requests.Session() as session:
            session.trust_env = False  # no proxy stands between us and loopback
            try:
                return session.get(self.url + self.health_path, timeout=QUESTION_TIMEOUT_S).ok
            except requests.RequestException:
                return False


class Endpoint(WebService):
    """The self-hosted endpoint, which can be told to fail (`POST /_faults`), and `invents` permits or reads them."""

    health_path = "/healthz"

    def __init__(self, log: Path, environment: Mapping[str, str], *, invents: bool = False) -> None:
        port = free_port()
        command = ["hmt_pass.endpoint", "--port", str(port), "--faults", "--private-urls"]
        command += ["--invent", "--max-waiting", "1000"] if invents else []  # who reads nothing is never busy
        super().__init__("endpoint", command, log, environment, port)


class Flower(WebService):
    """Flower without a password, therefore read-only and on loopback; its JSON API stays closed by default."""

    health_path = "/healthcheck"

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        port = free_port()
        options = ["--address=127.0.0.1", f"--port={port}", "--persistent=False", "--read_only"]
        super().__init__("flower", ["celery", "-A", "worker", "flower", *options], log, environment, port)


class Exporter(WebService):
    """The figures of the fleet for Prometheus, under `/metrics`."""

    health_path = "/healthz"

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        port = free_port()
        super().__init__("exporter", ["worker", "metrics", "--serve", str(port)], log, environment, port)


class Worker(Process):
    """One Celery worker; ready when it answers a ping through the broker. No other one there has its `name`."""

    grace_s = 60.0  # the longest a job that has begun may still take

    def __init__(
        self,
        log: Path,
        environment: Mapping[str, str],
        broker_url: str,
        name: str = "worker",
        options: Sequence[str] = (),
    ) -> None:
        self._node, self._broker_url = f"{name}@localhost", broker_url
        usual = ["--loglevel=INFO", "--without-mingle", "--without-gossip"]  # as in the Procfile
        command = [sys.executable, "-m", "celery", "-A", "worker", "worker", *usual, f"--hostname={self._node}"]
        super().__init__(name, [*command, *options], log, environment, cwd=CHECKOUT)

    def ready(self) -> bool:
        """Whether it answers a ping."""
        with celery.Celery("local", broker=self._broker_url, set_as_current=False) as app:
            try:
                return bool(app.control.ping([self._node], timeout=QUESTION_TIMEOUT_S, limit=1))
            except OperationalError:
                return False
