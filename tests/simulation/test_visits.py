"""Who gets how much of the limit, and what it costs: the shipped rule of visits in virtual time.

Every test names its seed when it fails; the same seed repeats the same run.
"""

import pytest
from simulation.events import MILLISECOND, SECOND
from simulation.fleet import Fleet
from simulation.measure import Steady, longest_gap, most_above_rate, seconds, steady

SEED = 20_261_123

DEPTHS = {20_000: 20, 1_000_000: 1_000}
"""Of the endpoint's bucket, where it is not ten: a million a minute and ten at once never meet."""

FLEETS = [
    *[(per_minute, workers) for per_minute in (60, 300, 3_000, 20_000) for workers in (1, 8, 100)],
    (3_000, 1_000),
    (1_000_000, 1),
    (1_000_000, 8),
    (1_000_000, 100),
    (1_000_000, 1_000),
]


def fleet_of(per_minute: int, workers: int, *, seed: int = SEED, jobs: int | None = None) -> Fleet:
    print(f"seed {seed}")
    depth = DEPTHS.get(per_minute, 10)
    if jobs is None:
        return Fleet(per_minute, workers, seed=seed, depth=depth)
    return Fleet(per_minute, workers, seed=seed, depth=depth, jobs=jobs)


def saturated(fleet: Fleet) -> Steady:
    """Measure twenty turns or ten seconds, at most eight at the highest rate."""
    workers = len(fleet.workers)
    warm = max(3 * SECOND, 2 * workers * fleet.interval)
    window = max(10 * SECOND, 24 * workers * fleet.interval, 60 * fleet.interval)
    return steady(fleet, warm, min(window, 8 * SECOND) if fleet.interval < 1_000 else window)


def assert_never_above_the_rate(fleet: Fleet) -> None:
    """In every window w: attempts ≤ rate·(w + grace) + 1."""
    assert most_above_rate(fleet) <= fleet.grace / fleet.interval + 1


@pytest.mark.parametrize(
    ("per_minute", "workers"),
    FLEETS,
)
def test_a_saturated_fleet_uses_the_whole_rate_and_shares_it_evenly(
    per_minute: int, workers: int
) -> None:
    fleet = fleet_of(per_minute, workers)
    run = saturated(fleet)
    assert run.used >= 0.99
    assert run.fairness >= (0.9 if per_minute >= 3_000 else 0.8)
    assert run.gap < SECOND + fleet.interval
    assert run.refused == 0
    assert_never_above_the_rate(fleet)


@pytest.mark.parametrize(("per_minute", "workers", "most"), [(3_000, 4, 1.1), (20_000, 4, 0.3)])
def test_a_permit_costs_few_scripts(per_minute: int, workers: int, most: float) -> None:
    assert saturated(fleet_of(per_minute, workers)).scripts <= most


@pytest.mark.parametrize("per_minute", [60, 300, 3_000, 20_000])
def test_no_slot_is_wasted_for_more_than_a_second_when_90_of_100_workers_die(
    per_minute: int,
) -> None:
    fleet = fleet_of(per_minute, 100)
    fleet.run(max(6 * SECOND, 150 * fleet.interval))
    died = fleet.now
    for worker in fleet.workers[10:]:
        fleet.kill(worker)
    fleet.run(10 * SECOND + 10 * fleet.interval)
    assert longest_gap(fleet, died) <= SECOND + fleet.interval
    assert sum(seconds(fleet, died, 10)[2:]) >= 0.95 * 8
    assert_never_above_the_rate(fleet)


@pytest.mark.parametrize(("per_minute", "workers"), [(60, 8), (300, 32), (300, 100)])
def test_the_living_share_evenly_after_deaths_at_a_low_rate(per_minute: int, workers: int) -> None:
    """Slots granted late shift their grid; turns promised by the old one must not starve."""
    fleet = fleet_of(per_minute, workers)
    fleet.run(max(5 * SECOND, 2 * workers * fleet.interval))
    for worker in fleet.workers[: workers // 8]:
        fleet.kill(worker)
    run = steady(fleet, 2 * workers * fleet.interval, 30 * workers * fleet.interval)
    assert run.fairness >= 0.8
    assert run.used >= 0.99


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("per_minute", [3_000, 20_000])
@pytest.mark.parametrize("stopped_for", [2 * SECOND, 5 * SECOND])
def test_after_a_stop_there_is_no_burst_and_soon_the_whole_rate_again(
    per_minute: int, workers: int, stopped_for: float
) -> None:
    fleet = fleet_of(per_minute, workers)
    fleet.run(5 * SECOND)
    stopped = fleet.now
    fleet.stop(fleet.workers[0], stopped_for)
    fleet.run(stopped_for + 11 * SECOND)
    start = stopped if workers > 1 else stopped + stopped_for
    assert sum(seconds(fleet, start, 10)) >= 9.9
    assert not fleet.record.refused
    assert_never_above_the_rate(fleet)


@pytest.mark.parametrize("per_minute", [3_000, 20_000])
def test_when_the_whole_machine_stood_still_nothing_is_fired_late(per_minute: int) -> None:
    fleet = fleet_of(per_minute, 8)
    fleet.run(5 * SECOND)
    for worker in fleet.workers:
        fleet.stop(worker, 2 * SECOND)
    fleet.run(13 * SECOND)
    assert sum(seconds(fleet, 7 * SECOND, 10)) >= 9.9
    assert not fleet.record.refused
    assert_never_above_the_rate(fleet)


@pytest.mark.parametrize("per_minute", [3_000, 20_000])
def test_newcomers_and_leavers_cost_next_to_nothing(per_minute: int) -> None:
    fleet = fleet_of(per_minute, 8)
    fleet.run(5 * SECOND)
    for _ in range(8):
        fleet.join(within=50 * MILLISECOND)
    fleet.run(10 * SECOND)
    for worker in fleet.workers[:4]:
        fleet.kill(worker)
    fleet.run(11 * SECOND)
    assert sum(seconds(fleet, 5 * SECOND, 10)) >= 9.9
    assert sum(seconds(fleet, 15 * SECOND, 10)) >= 9.8
    assert_never_above_the_rate(fleet)


@pytest.mark.parametrize("per_minute", [3_000, 20_000])
def test_jobs_find_an_idle_fleet_ready_and_do_not_burst(per_minute: int) -> None:
    fleet = fleet_of(per_minute, 8, jobs=0)
    fleet.run(5 * SECOND)
    fleet.submit(10 * per_minute)
    start = fleet.now
    fleet.run(11 * SECOND)
    assert fleet.record.attempts[0] - start <= 50 * MILLISECOND
    assert sum(seconds(fleet, start, 10)) >= 9.9
    assert_never_above_the_rate(fleet)


def test_every_job_is_called_once_and_idle_workers_do_not_visit() -> None:
    fleet = fleet_of(3_000, 8, jobs=300)
    fleet.run(10 * SECOND)
    visits = fleet.record.visits
    fleet.run(60 * SECOND)
    assert len(fleet.record.attempts) == 300
    assert fleet.record.visits == visits


@pytest.mark.parametrize("workers", [4, 100])
def test_during_a_pause_nobody_calls_and_after_it_the_turns_go_on(workers: int) -> None:
    fleet = fleet_of(3_000, workers)
    fleet.run(5 * SECOND)
    fleet.bucket.store("blocked_until", int(fleet.now + 5 * SECOND))
    fleet.bucket.store("pause", 5 * SECOND)
    fleet.run(16 * SECOND)
    paused = [time for time in fleet.record.attempts if 5.15 * SECOND < time < 10 * SECOND]
    assert not paused
    assert sum(seconds(fleet, 10 * SECOND, 10)) >= 9.9
    assert_never_above_the_rate(fleet)


@pytest.mark.parametrize("workers", [4, 100])
def test_a_held_fleet_neither_calls_nor_polls_but_for_the_probe(workers: int) -> None:
    fleet = fleet_of(3_000, workers)
    fleet.run(5 * SECOND)
    fleet.bucket.penalise(int(fleet.now), int(SECOND), 0, "spend_limit")
    fleet.endpoint.failing = 1.0
    fleet.run(SECOND)
    attempts, visits = len(fleet.record.attempts), fleet.record.visits
    fleet.run(60 * SECOND)
    assert 4 <= len(fleet.record.attempts) - attempts <= 6
    assert fleet.record.visits - visits <= 60 * 60


@pytest.mark.parametrize("per_minute", [30_000, 300])
def test_a_new_rate_is_kept_soon_and_without_a_burst(per_minute: int) -> None:
    fleet = fleet_of(3_000, 8)
    fleet.run(5 * SECOND)
    fleet.set_rate(per_minute)
    fleet.run(11 * SECOND)
    assert sum(seconds(fleet, 6 * SECOND, 10)) >= 9.9
    assert not fleet.record.refused
    fleet.record.attempts = [time for time in fleet.record.attempts if time > 5.2 * SECOND]
    assert_never_above_the_rate(fleet)
