"""What the tests of metrics and health share: a clock, and the figures of a collector by name."""

import pytest
from prometheus_client.registry import Collector

from worker import consuming


class Time:
    """A clock in place of the modules' own."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    @classmethod
    def of(cls, monkeypatch: pytest.MonkeyPatch, *modules: str) -> "Time":
        time = cls()
        for module in modules:
            monkeypatch.setattr(f"worker.{module}.time", time)
        monkeypatch.setattr("worker.pulse._last", time.now_s)
        return time


def figures(collector: Collector) -> dict[str, float]:
    """Every sample as `name|label value|label value`."""
    return {
        "|".join([sample.name, *sample.labels.values()]): sample.value
        for family in collector.collect()
        for sample in family.samples
    }


def running_loop(*, consumes: bool = True) -> consuming.Loop:
    """That of a worker that is connected."""
    loop = consuming.Loop()
    loop.goes_round(connected=True, consumes=consumes)
    return loop
