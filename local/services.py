"""The processes of the project itself: endpoint, worker, Flower. Each is run as a user would run it."""

import sys
from collections.abc import Mapping
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
    """The self-hosted endpoint, which can be told to fail on purpose (`POST /_faults`)."""

    health_path = "/healthz"

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        port = free_port()
        command = ["hmt_pass.endpoint", "--port", str(port), "--faults", "--private-urls"]
        super().__init__("endpoint", command, log, environment, port)


class Flower(WebService):
    """Flower without a password, therefore read-only and on loopback; its JSON API stays closed by default."""

    health_path = "/healthcheck"

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        port = free_port()
        options = ["--address=127.0.0.1", f"--port={port}", "--persistent=False", "--read_only"]
        super().__init__("flower", ["celery", "-A", "worker", "flower", *options], log, environment, port)


class Worker(Process):
    """One Celery worker; ready when it answers a ping through the broker."""

    grace_s = 60.0  # the longest a job that has begun may still take

    def __init__(self, log: Path, environment: Mapping[str, str], broker_url: str) -> None:
        options = ["--loglevel=INFO", "--without-mingle", "--without-gossip"]  # as in the Procfile
        command = [sys.executable, "-m", "celery", "-A", "worker", "worker", *options]
        super().__init__("worker", command, log, environment, cwd=CHECKOUT)
        self._broker_url = broker_url

    def ready(self) -> bool:
        """Whether it answers a ping."""
        with celery.Celery("local", broker=self._broker_url, set_as_current=False) as app:
            try:
                return bool(app.control.ping(timeout=QUESTION_TIMEOUT_S, limit=1))
            except OperationalError:
                return False
