import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.retry import RetryPolicy

POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 50),
    base_s=st.floats(0.01, 100),
    cap_s=st.floats(0.01, 1000),
    max_age_s=st.floats(1, 1e6),
)
POLICY = RetryPolicy(max_attempts=8, base_s=2.0, cap_s=60.0, max_age_s=3600.0)


def longest(_low: float, high: float) -> float:
    return high


@given(POLICIES, st.integers(1, 10_000), st.floats(0, 2e6), st.booleans(), st.integers())
def test_a_delay_lies_within_zero_and_the_cap_or_there_is_none(
    policy: RetryPolicy, failures: int, age_s: float, bounded: bool, seed: int
) -> None:
    delay_s = policy.next_delay(failures, age_s, bounded=bounded, draw=random.Random(seed).uniform)
    exhausted = age_s >= policy.max_age_s or (bounded and failures >= policy.max_attempts)
    assert exhausted is (delay_s is None)
    assert delay_s is None or 0 <= delay_s <= policy.cap_s


@pytest.mark.parametrize(("failures", "expected_s"), [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (7, 60)])
def test_the_longest_delay_doubles_up_to_the_cap(failures: int, expected_s: float) -> None:
    assert expected_s == POLICY.next_delay(failures, 0, draw=longest)


@pytest.mark.parametrize(
    ("failures", "age_s", "bounded", "is_over"),
    [
        (7, 3599.9, True, False),
        (8, 0, True, True),
        (8, 0, False, False),
        (1000, 3599.9, False, False),
        (1, 3600, False, True),
        (1, 3600, True, True),
    ],
)
def test_a_job_is_exhausted_exactly_at_its_limits(failures: int, age_s: float, bounded: bool, is_over: bool) -> None:
    assert is_over is (POLICY.next_delay(failures, age_s, bounded=bounded) is None)


@given(POLICIES, st.integers(0, 10_000), st.integers())
def test_a_snooze_always_comes_to_an_end_and_never_spins(policy: RetryPolicy, snoozes: int, seed: int) -> None:
    delay_s = policy.snooze(snoozes, draw=random.Random(seed).uniform)
    assert min(policy.base_s, policy.cap_s) / 2 <= delay_s <= policy.cap_s


def test_jobs_that_failed_together_come_back_apart() -> None:
    assert 100 == len({POLICY.next_delay(4, 0) for _ in range(100)})
