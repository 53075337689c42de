"""Ticks of the loop's clock."""

import pytest

from weighbridge.loop_clock import tick_after


@pytest.mark.parametrize(
    ("moment", "tick"), [(5.0, 5.0), (5.0001, 5.001), (5.0009, 5.001), (5.001, 5.001), (0.0, 0.0)]
)
def test_a_timer_goes_off_with_the_first_tick_that_is_not_too_early(
    moment: float, tick: float
) -> None:
    assert tick_after(moment) == tick


def test_what_a_sum_of_times_is_off_costs_no_tick() -> None:
    for present in range(100_000, 101_000):
        for wait in (1, 3, 20, 257):
            assert tick_after(present / 1000 + wait / 1000) == (present + wait) / 1000
