from collections.abc import Callable

import pytest

from worker.outcomes import TurnError
from worker.turnstile import in_turn


def refusing(times: int, wait_s: float = 0.5) -> Callable[[], str]:
    left = [None] * times

    def step() -> str:
        if left:
            left.pop()
            raise TurnError(wait_s)
        return "done"

    return step


def test_whoever_has_a_turn_does_not_wait() -> None:
    waits: list[float] = []
    assert ("done", []) == (in_turn(refusing(0), 1.0, waits.append), waits)


def test_each_wait_is_one_to_two_times_as_long_as_asked_for() -> None:
    waits: list[float] = []
    assert "done" == in_turn(refusing(20), 100.0, waits.append)
    assert all(0.5 <= wait_s <= 1.0 for wait_s in waits)
    assert len(set(waits)) > 10  # or all who wait would come back at one moment


def test_patience_has_an_end() -> None:
    waits: list[float] = []
    with pytest.raises(TurnError):
        in_turn(refusing(100), 3.0, waits.append)
    assert 3.0 == pytest.approx(sum(waits))


def test_a_wait_that_is_longer_than_the_patience_is_cut_short() -> None:
    waits: list[float] = []
    with pytest.raises(TurnError):
        in_turn(refusing(100, wait_s=3600.0), 3.0, waits.append)
    assert [3.0] == waits


def test_other_errors_pass() -> None:
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  any
        in_turn(fail, 1.0, lambda _: None)
