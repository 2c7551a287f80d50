"""A wall clock that is wrong, for one process; its monotonic clock and its timers stay right."""

import datetime as dt
import sys
import time

OURS = ("hmt_pass", "worker", "tasks")
_true_time = time.time


def shift(offset_s: float) -> None:
    """Let this process believe that it is `offset_s` later than it is, in what is imported by now."""

    def shifted() -> float:
        return _true_time() + offset_s

    class Shifted(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Shifted":
            return cls.fromtimestamp(shifted(), tz)

    time.time = shifted
    for name, module in list(sys.modules.items()):
        if getattr(module, "time", None) is _true_time:
            module.time = shifted  # type: ignore[attr-defined]
        if name.partition(".")[0] in OURS and getattr(module, "datetime", None) is dt.datetime:
            module.datetime = Shifted  # type: ignore[attr-defined]
