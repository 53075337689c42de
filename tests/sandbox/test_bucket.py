"""The stand-in's limit: a full bucket first, then the rate, in every window."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge_worker.sandbox.bucket import TokenBucket

RPMS = st.integers(1, 60_000)
DEPTHS = st.integers(1, 200)
PAUSES_MS = st.lists(st.integers(0, 5_000), max_size=200)


class Clock:
    """Seconds that a test sets; whole milliseconds, so that a model can be exact."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> float:
        return self.ms / 1000


def exact_passes(rpm: int, depth: int, pauses_ms: list[int]) -> list[bool]:
    """The same bucket in fractions."""
    tokens = Fraction(depth)
    passes = []
    for pause in pauses_ms:
        tokens = min(Fraction(depth), tokens + Fraction(pause * rpm, 60_000))
        passes.append(tokens >= 1)
        tokens -= passes[-1]
    return passes


@given(RPMS, DEPTHS, PAUSES_MS)
def test_in_no_window_do_more_calls_pass_than_depth_and_rate_allow(
    rpm: int, depth: int, pauses_ms: list[int]
) -> None:
    clock = Clock()
    bucket = TokenBucket(rpm, depth, clock)
    passed_at: list[int] = []
    for pause in pauses_ms:
        clock.ms += pause
        if bucket.take():
            passed_at.append(clock.ms)
    for first, start in enumerate(passed_at):
        for last, end in enumerate(passed_at[first:], first):
            allowed = depth + Fraction((end - start) * rpm, 60_000)
            assert last - first + 1 <= allowed + Fraction(1, 10**6)


@given(RPMS, DEPTHS, PAUSES_MS)
def test_it_passes_as_many_calls_as_exact_arithmetic_does(
    rpm: int, depth: int, pauses_ms: list[int]
) -> None:
    clock = Clock()
    bucket = TokenBucket(rpm, depth, clock)
    passed = 0
    for pause in pauses_ms:
        clock.ms += pause
        passed += bucket.take()
    # A float may see a token a rounding error later than a fraction does: once a token at most.
    assert abs(passed - sum(exact_passes(rpm, depth, pauses_ms))) <= 1


def test_it_starts_full() -> None:
    bucket = TokenBucket(60, 3, Clock())
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_it_says_when_the_next_call_passes_and_when_it_is_full() -> None:
    clock = Clock()
    bucket = TokenBucket(120, 3, clock)
    for _ in range(3):
        bucket.take()
    assert (bucket.next_in_s, bucket.full_in_s, bucket.remaining) == (0.5, 1.5, 0)
    clock.ms += 500
    assert (bucket.next_in_s, bucket.full_in_s, bucket.remaining) == (0.0, 1.0, 1)


def test_it_never_holds_more_than_its_depth() -> None:
    clock = Clock()
    bucket = TokenBucket(6000, 2, clock)
    clock.ms += 3_600_000
    assert bucket.remaining == 2


@pytest.mark.parametrize("rpm", [50, 90, 5000])
def test_a_caller_in_step_with_the_rate_passes_every_time(rpm: int) -> None:
    clock = Clock()
    bucket = TokenBucket(rpm, 2, clock)
    start = clock.ms
    for call in range(1000):
        clock.ms = start + -(-call * 60_000 // rpm)
        assert bucket.take()
