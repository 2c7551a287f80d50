"""Faults on demand, for rehearsals and tests; served only when the endpoint is started with --faults.

    POST /_faults {"code": "9980", "count": 1}    the next answer is this code, any four digits but 0000
    POST /_faults {"code": "1005", "for_s": 60}   every answer for a minute
    POST /_faults {"latency_s": 0.3}              every answer later, until DELETE
    POST /_faults {"drop": "after", "count": 2}   connection dropped: `before` reading, or `after` having charged
    GET /_faults                                  what is set, and the counters `calls` and `charged`
    DELETE /_faults                               none; the counters stay

`code`, `latency_s` and `drop` are three faults that can be set together. Without `count` and `for_s` one stays.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hmt_pass.codes import Code

BEFORE, AFTER = "before", "after"
_FAULTS = ("code", "latency_s", "drop")


@dataclass(frozen=True, slots=True)
class Strike:
    """What hits one call."""

    code: str = ""
    """The code that it is answered with; empty for its own answer."""
    latency_s: float = 0.0
    hang: str = ""
    """BEFORE or AFTER charging: no answer until the caller hangs up or the faults are cleared; empty for never."""
    drop: str = ""
    """BEFORE or AFTER charging: the connection ends without an answer; empty for never."""
    garbage: str = ""
    """What is sent in the place of the answer: a key of `garbage.KINDS`; empty for the answer."""


@dataclass(slots=True)
class Fault:
    """One fault that is set: its value, how many calls it still hits (None: all), and until when (None: for ever)."""

    value: str | float
    count: int | None
    until_s: float | None


class Faults:
    """The faults that are set and what was served; used from the event loop only."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._set: dict[str, Fault] = {}
        self.calls = 0
        self.charged = 0

    def set(self, wanted: Mapping[str, Any]) -> None:
        """Set what a request body asks for. Raises ValueError for one that asks for something else."""
        names = [name for name in _FAULTS if name in wanted]
        if not names or set(wanted) - {*_FAULTS, "count", "for_s"}:
            raise ValueError(f"give one of {', '.join(_FAULTS)}, and count or for_s if it should end by itself")
        for name in names:
            _check(name, wanted[name])
        count, for_s = _positive(wanted, "count"), _positive(wanted, "for_s")
        for name in names:
            until_s = None if for_s is None else self._now_s() + for_s
            self._set[name] = Fault(wanted[name], None if count is None else int(count), until_s)

    def clear(self) -> None:
        """Forget every fault; the counters stay."""
        self._set.clear()

    def strike(self) -> Strike:
        """What hits the call that has just come in, counted down."""
        self.calls += 1
        return Strike(code=self.take_code(), latency_s=self.take_latency_s(), drop=self.take_drop())

    def take_code(self) -> str:
        """The code that this call is to be answered with, counted down; empty when it is not to be forced."""
        return str(self._take("code") or "")

    def take_latency_s(self) -> float:
        """How much later this call is to be answered, counted down."""
        return float(self._take("latency_s") or 0)

    def take_drop(self) -> str:
        """When the connection of this call is to be dropped (BEFORE, AFTER), counted down; empty for never."""
        return str(self._take("drop") or "")

    def _take(self, name: str) -> str | float | None:
        self._expire()
        fault = self._set.get(name)
        if fault is None:
            return None
        if fault.count is not None:
            fault.count -= 1
        return fault.value

    def describe(self) -> dict[str, Any]:
        """The faults that are set and the counters, as JSON."""
        self._expire()
        now_s = self._now_s()
        faults = {
            name: {
                "value": fault.value,
                "count": fault.count,
                "for_s": None if fault.until_s is None else round(fault.until_s - now_s, 3),
            }
            for name, fault in self._set.items()
        }
        return {"faults": faults, "calls": self.calls, "charged": self.charged}

    def _expire(self) -> None:
        now_s = self._now_s()
        self._set = {
            name: fault
            for name, fault in self._set.items()
            if fault.count != 0 and (fault.until_s is None or fault.until_s > now_s)
        }


def _check(name: str, value: object) -> None:
    if name == "code" and not (isinstance(value, str) and re.fullmatch(r"\d{4}", value) and value != Code.OK.value):
        raise ValueError("code must be a string of four digits, and not 0000")
    if name == "latency_s" and not (isinstance(value, int | float) and 0 <= value <= 3600):  # noqa: PLR2004  an hour
        raise ValueError("latency_s must be seconds, 0 to 3600")
    if name == "drop" and value not in {BEFORE, AFTER}:
        raise ValueError(f"drop must be {BEFORE} or {AFTER}")


def _positive(wanted: Mapping[str, Any], name: str) -> float | None:
    value = wanted.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} must be a number above 0")
    return value
