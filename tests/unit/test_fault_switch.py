"""The faults that can be set."""

import pytest

from hmt_pass.endpoint.faults import Faults


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_fault_hits_as_many_calls_as_it_says() -> None:
    faults = Faults()
    faults.set({"code": "9980", "count": 2})
    assert ["9980", "9980", ""] == [faults.take_code() for _ in range(3)]


def test_a_fault_ends_when_its_time_is_over() -> None:
    clock = Clock()
    faults = Faults(clock)
    faults.set({"code": "1005", "for_s": 60})
    before = faults.take_code()
    clock.now_s = 60
    assert ("1005", "") == (before, faults.take_code())


def test_a_fault_without_an_end_stays_until_it_is_cleared() -> None:
    faults = Faults()
    faults.set({"latency_s": 0.3})
    before = [faults.take_latency_s() for _ in range(5)]
    faults.clear()
    assert ([0.3] * 5, 0.0) == (before, faults.take_latency_s())


def test_faults_of_different_kinds_stand_together() -> None:
    faults = Faults()
    faults.set({"code": "9999", "drop": "after", "count": 1})
    assert ("9999", "after", "") == (faults.take_code(), faults.take_drop(), faults.take_drop())


def test_clearing_leaves_the_counters() -> None:
    faults = Faults()
    faults.calls, faults.charged = 3, 2
    faults.clear()
    assert {"faults": {}, "calls": 3, "charged": 2} == faults.describe()


def test_a_description_says_what_is_left() -> None:
    clock = Clock()
    faults = Faults(clock)
    faults.set({"code": "1005", "for_s": 60})
    clock.now_s = 20
    assert {"code": {"value": "1005", "count": None, "for_s": 40.0}} == faults.describe()["faults"]


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"count": 1},
        {"code": "0000"},
        {"code": 9980},
        {"code": "99"},
        {"latency_s": -1},
        {"latency_s": "1"},
        {"drop": "during"},
        {"code": "9980", "count": 0},
        {"code": "9980", "count": True},
        {"code": "9980", "times": 1},
    ],
)
def test_what_is_no_fault_is_refused(wanted: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|give one of"):
        Faults().set(wanted)
