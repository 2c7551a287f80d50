"""An endpoint that does what it is told and keeps books of what it charged, in a process of its own.

Behaviours are values; `charged` overrides whether the way they fail has cost the caller.
"""

import json
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.scripted_server import Behaviour

from local.process import Process, free_port

SERVER = Path(__file__).with_name("scripted_server.py")
DROP_UNREAD: Behaviour = {"do": "drop_unread"}
DROP_CHARGED: Behaviour = {"do": "drop_charged"}
HANG: Behaviour = {"do": "hang"}
GARBAGE: Behaviour = {"do": "garbage"}
NOT_HTTP: Behaviour = {"do": "not_http"}
HTML_502: Behaviour = {"do": "html_502"}
TRICKLE: Behaviour = {"do": "trickle"}
HALF: Behaviour = {"do": "half"}


def code(value: str, delay_s: float = 0.0) -> Behaviour:
    """An answer with this business code."""
    return {"do": "answer", "code": value, "delay_s": delay_s}


def late(delay_s: float) -> Behaviour:
    """A paid answer that comes after the caller's time limit."""
    return {"do": "late", "delay_s": delay_s}


@dataclass(frozen=True, slots=True)
class Call:
    """One complete request: whose it was, what was done with it, and whether it was charged. `at_s` is Unix time."""

    sequence_id: str
    sha256: str
    did: str
    code: str
    charged: bool
    at_s: float
    request_id: str

    @property
    def job_id(self) -> str:
        return self.sequence_id.rpartition("-")[0]

    @property
    def attempt(self) -> str:
        return self.sequence_id.rpartition("-")[2]


class Scripted(Process):
    """`with Scripted(log) as endpoint`: answers 0000 at once until it is told otherwise."""

    def __init__(self, log: Path) -> None:
        port = free_port()
        super().__init__("scripted endpoint", [sys.executable, "-I", str(SERVER), str(port)], log)
        self.url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        try:
            self.calls()
        except OSError:
            return False
        return True

    def plain(self, behaviour: Behaviour) -> None:
        """What every call gets that nothing else speaks of."""
        self._tell(plain=behaviour)

    def script(self, *behaviours: Behaviour) -> None:
        """What the next calls get, one each."""
        self._tell(script=behaviours)

    def script_for(self, scripts: Mapping[str, Sequence[Behaviour]]) -> None:
        """What the next calls of these jobs get."""
        self._tell(by_job=scripts)

    def mix(self, seed: int, *shares: tuple[Behaviour, float]) -> None:
        """Give each call one of these at random, with its share of 1."""
        self._tell(mix=shares, seed=seed)

    def reset(self) -> None:
        """Forget everything: orders and books."""
        self._ask("/_reset", b"")

    def calls(self) -> list[Call]:
        """All complete requests so far, in order."""
        return [Call(**line) for line in self._ask("/_books")["calls"]]

    def dropped_unread(self) -> int:
        """How many connections were dropped before their request was read: nothing of them was charged."""
        return int(self._ask("/_books")["dropped_unread"])

    def _tell(self, **order: object) -> None:
        self._ask("/_tell", json.dumps(order).encode())

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(self.url + path, data=body), timeout=10) as answer:
            shown: dict[str, Any] = json.loads(answer.read())
            return shown
