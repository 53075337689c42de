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
LONE = 8
RATES = [60, 3_000, 20_000]


def span(per_minute: int, usual_s: int, least_s: int) -> int:
    """Return the usual time, but at high rates what 36,000 calls take, or the least."""
    return max(least_s, min(usual_s, 36_000 * 60 // per_minute))


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
    fleet = failing(per_minute, 0.3, span(per_minute, 600, least_s=120) * SECOND)
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


def half_broken(per_minute: int, workers: int, duration: float) -> Fleet:
    """Let a fleet work for ten seconds, then break the network of every other worker."""
    print(f"seed {SEED}")
    fleet = Fleet(per_minute, workers, seed=SEED, depth=20)
    fleet.run(10 * SECOND)
    for worker in fleet.workers[::2]:
        worker.broken = True
    fleet.run(duration)
    return fleet


FLEETS = [(60, 2), (60, 8), (1_200, 2), (3_000, 4), (3_000, 40), (20_000, 4), (20_000, 40)]


@pytest.mark.parametrize(("per_minute", "workers"), FLEETS)
def test_half_a_fleet_that_fails_alone_never_holds_the_other_half(
    per_minute: int, workers: int
) -> None:
    lasts = span(per_minute, 1_800, least_s=480)  # eight probes
    fleet = half_broken(per_minute, workers, lasts * SECOND)
    assert fleet.record.holds == []
    broken = fleet.workers[::2]
    assert [worker.lone for worker in fleet.workers] == [worker.broken for worker in fleet.workers]
    # What each had in hand until it was known, then a probe a minute: the rest is the others'.
    assert sum(worker.attempts for worker in broken) <= (
        per_minute / 60 * 12 + len(broken) * (30 + LONE + lasts // 60)
    )
    assert sum(seconds(fleet, fleet.now - 60 * SECOND, 60)) >= 59


@pytest.mark.parametrize(("per_minute", "workers"), FLEETS)
def test_who_failed_alone_comes_back_by_a_probe_of_its_own(per_minute: int, workers: int) -> None:
    fleet = half_broken(per_minute, workers, span(per_minute, 300, least_s=120) * SECOND)
    for worker in fleet.workers:
        worker.broken = False
    fleet.run(90 * SECOND)
    assert not any(worker.lone for worker in fleet.workers)
    assert {worker.alone for worker in fleet.workers[1::2]} == {0}
    assert {worker.alone for worker in fleet.workers[::2]} == {1}


@pytest.mark.parametrize(("per_minute", "workers"), FLEETS)
def test_an_outage_of_a_half_broken_fleet_holds_it_once(per_minute: int, workers: int) -> None:
    fleet = half_broken(per_minute, workers, span(per_minute, 300, least_s=120) * SECOND)
    fleet.endpoint.failing = 1.0
    failed_from = fleet.now
    fleet.run(600 * SECOND)
    [held_at] = fleet.record.holds
    assert held_at - failed_from <= max(SECOND * 5, 60 * 60 * SECOND / per_minute)
    failed = [time for time in fleet.record.failed if time >= held_at + SECOND]
    assert min(b - a for a, b in pairwise(failed[-8:])) >= 55 * SECOND
    fleet.endpoint.failing = 0.0
    fleet.run(180 * SECOND)
    assert len(fleet.record.holds) == 1
    assert sum(seconds(fleet, fleet.now - 60 * SECOND, 60)) >= 59
    assert [worker.lone for worker in fleet.workers] == [worker.broken for worker in fleet.workers]


@pytest.mark.parametrize("per_minute", [60, 1_200, 3_000, 20_000])
def test_three_workers_of_four_that_fail_alone_leave_all_to_the_fourth(per_minute: int) -> None:
    print(f"seed {SEED}")
    fleet = Fleet(per_minute, 4, seed=SEED, depth=20, places=max(32, per_minute // 100))
    fleet.run(10 * SECOND)
    for worker in fleet.workers[1:]:
        worker.broken = True
    fleet.run(span(per_minute, 900, least_s=300) * SECOND)
    # One hold may come before the fourth has shown that the endpoint is well.
    assert len(fleet.record.holds) <= 1
    assert sum(seconds(fleet, fleet.now - 60 * SECOND, 60)) >= 59
