"""Faults on demand, for rehearsals and tests; served only when the endpoint is started with --faults.

    POST /_faults {"code": "9980", "count": 1}      the next answer is this code, any four digits but 0000
    POST /_faults {"code": "1005", "for_s": 60}     every answer for a minute
    POST /_faults {"latency_s": 0.3}                every answer later, until DELETE
    POST /_faults {"hang": "after", "count": 1}     no answer until DELETE: `before` reading, or `after` having charged
    POST /_faults {"drop": "after", "share": 0.1}   a tenth of the connections dropped, `before` or `after` likewise
    POST /_faults {"garbage": "html"}               instead of the answer one of `garbage.Kind`: html, half, text ...
    GET /_faults                                    what is set, and the counters
    DELETE /_faults                                 none; hung calls go on, and the counters stay

The effects `code`, `latency_s`, `hang`, `drop` and `garbage` can be set together. Those of one body hit the same calls:
at most `count` of them, each with the chance `share`, for `for_s` seconds. Without these three they hit every call
until DELETE. A later body replaces the effects it names and leaves the others.

A call that is hit goes this way: `drop` before; its body is read; `latency_s`; `hang` before; `code` instead of a
reading (never charged), or the reading; `hang` after; `drop` after; `garbage`. A call whose parameters cannot be read
is answered 1001, 1002 or 1013 without latency, hang before or code.

The counters: `calls`, `charged`, `struck` (calls that were hit) and `hanging` (calls that hang now). A body that is no
fault is answered with HTTP 400 and a line for every problem.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect

from hmt_pass.endpoint.faults.order import Order

_MAX_HANG_S = 3600.0

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""The next message of a request whose body has been read: that the caller hung up."""


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
    """What is sent in the place of the answer, a `garbage.Kind`; empty for the answer."""


@dataclass(slots=True)
class _Fault:
    """The effects of one order that still stand, how many calls they still hit (None: all), and until when."""

    effects: dict[str, Any]
    count: int | None
    share: float
    until_s: float | None

    def is_over(self, now_s: float) -> bool:
        return not self.effects or self.count == 0 or (self.until_s is not None and self.until_s <= now_s)

    def describe(self, now_s: float) -> dict[str, Any]:
        for_s = None if self.until_s is None else round(self.until_s - now_s, 3)
        limits = {"count": self.count, "share": self.share, "for_s": for_s}
        return {name: {"value": value, **limits} for name, value in self.effects.items()}


class Faults:
    """The faults that are set and what was served; used from the event loop only.

    `now_s` is a clock in seconds, `chance` gives a number from 0 up to 1, excluded, for each call and fault.
    """

    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._now_s, self._chance = now_s, chance
        self._set: list[_Fault] = []
        self._released = asyncio.Event()
        self._stopped = asyncio.Event()
        self.calls = self.charged = self.struck = self.hanging = 0

    def set(self, order: Order) -> None:
        """Set the effects of an order in the place of those that bear the same names."""
        for fault in self._set:
            fault.effects = {name: value for name, value in fault.effects.items() if name not in order.effects}
        until_s = None if order.for_s is None else self._now_s() + order.for_s
        self._set.append(_Fault(dict(order.effects), order.count, order.share, until_s))

    def clear(self) -> None:
        """Forget every fault and let hung calls go on; the counters stay."""
        self._set.clear()
        self._released.set()
        self._released = asyncio.Event()

    def stop(self) -> None:
        """End the calls that hang, without an answer, and those that would: the endpoint stops."""
        self._stopped.set()

    def strike(self) -> Strike:
        """What hits the call that has just come in: one decision for the whole call, counted."""
        self.calls += 1
        effects: dict[str, Any] = {}
        for fault in self._standing():
            if self._chance() < fault.share:
                fault.count = None if fault.count is None else fault.count - 1
                effects |= fault.effects
        self.struck += bool(effects)
        return Strike(**effects)

    async def hang(self, receive: Receive) -> None:
        """Return once the faults are cleared, or after an hour. Holds nothing but the call itself.

        Raises ClientDisconnect when there is no one left to answer: the caller hung up, or the endpoint stops.
        """
        self.hanging += 1
        ends = [asyncio.ensure_future(end) for end in (_hung_up(receive), self._stopped.wait(), self._released.wait())]
        try:
            done, _ = await asyncio.wait(ends, timeout=_MAX_HANG_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.hanging -= 1
            for end in ends:
                end.cancel()
        if done & set(ends[:2]):
            raise ClientDisconnect

    def describe(self) -> dict[str, Any]:
        """The faults that are set and the counters, as JSON."""
        now_s = self._now_s()
        faults = {name: effect for fault in self._standing() for name, effect in fault.describe(now_s).items()}
        counters = {"calls": self.calls, "charged": self.charged, "struck": self.struck, "hanging": self.hanging}
        return {"faults": faults, **counters}

    def _standing(self) -> list[_Fault]:
        now_s = self._now_s()
        self._set = [fault for fault in self._set if not fault.is_over(now_s)]
        return self._set


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
