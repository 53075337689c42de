"""An endpoint at which most calls fail, in virtual time."""

import random
from itertools import pairwise

import pytest
from simulation.events import SECOND
from simulation.fleet import Fleet
from simulation.lua_bucket import LuaBucket
from simulation.measure import seconds

from weighbridge.exchange import Calls

SEED = 20_261_125
START = 1_795_000_000_000_000
RATES = [60, 3_000, 20_000]


def failing(per_minute: int, share: float, duration: float) -> Fleet:
    """Let a fleet work for ten seconds, then meet an endpoint that fails this share of calls."""
    print(f"seed {SEED}")
    fleet = Fleet(per_minute, 4, seed=SEED, depth=20)
    fleet.run(10 * SECOND)
    fleet.endpoint.failing = share
    fleet.run(duration)
    return fleet


@pytest.mark.parametrize("per_minute", RATES)
def test_an_outage_costs_few_calls_and_its_probes_grow_rare(per_minute: int) -> None:
    fleet = failing(per_minute, 1.0, 1_800 * SECOND)
    failed = fleet.record.failed
    per_second = per_minute / 60
    # Twenty or half a second's worth, what was on its way until they were known, then probes.
    assert len(failed) <= max(20, per_second / 2) + per_second * 0.6 + 40
    probes = failed[-20:]
    assert min(b - a for a, b in pairwise(probes)) >= 59 * SECOND
    assert max(b - a for a, b in pairwise(probes)) <= 63 * SECOND


@pytest.mark.parametrize("per_minute", RATES)
def test_during_an_outage_there_is_a_probe_a_second_at_most(per_minute: int) -> None:
    fleet = failing(per_minute, 1.0, 120 * SECOND)
    held_from = 10 * SECOND + 21 * SECOND * max(1, 60 / per_minute) + SECOND
    probes = [time for time in fleet.record.failed if time >= held_from]
    assert min(b - a for a, b in pairwise(probes)) >= SECOND


@pytest.mark.parametrize("per_minute", [3_000, 20_000])
def test_after_an_outage_half_the_rate_is_there_at_once_and_all_of_it_soon(per_minute: int) -> None:
    fleet = failing(per_minute, 1.0, 60 * SECOND)
    fleet.endpoint.failing = 0.0
    healed = fleet.now
    fleet.run(120 * SECOND)
    first = next(time for time in fleet.record.attempts if time >= healed)
    assert first <= healed + 61 * SECOND
    assert 0.4 <= seconds(fleet, first + SECOND, 1)[0] <= 0.6
    assert sum(seconds(fleet, first + 32 * SECOND, 10)) >= 9.8
    assert not fleet.record.refused


@pytest.mark.parametrize("per_minute", RATES)
def test_where_three_in_ten_fail_the_fleet_goes_on(per_minute: int) -> None:
    fleet = failing(per_minute, 0.3, 600 * SECOND)
    assert fleet.bucket.stored()["generation"] == 0
    assert sum(seconds(fleet, fleet.now - 10 * SECOND, 10)) >= 9.8


def test_an_endpoint_that_fails_nine_in_ten_is_not_stormed() -> None:
    fleet = failing(3_000, 0.9, 600 * SECOND)
    assert len(fleet.record.attempts) - 500 <= 3_000 * 10 * 0.1


def test_a_hundred_thousand_calls_of_which_three_in_ten_fail_begin_no_hold() -> None:
    print(f"seed {SEED}")
    dice, bucket = random.Random(SEED), LuaBucket(3_000)
    for number in range(100_000):
        failed = int(dice.random() < 0.3)
        visit = bucket.visit(START + number * 3_000, 1, 0, 1, Calls(1 - failed, failed, 0))
        assert visit.hold == ""
