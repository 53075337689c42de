"""What a run of the fleet amounts to."""

from dataclasses import dataclass
from itertools import pairwise

from simulation.events import SECOND
from simulation.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Steady:
    """A saturated stretch.

    Args:
        used: attempts as a share of the slots.
        scripts: visits a permit.
        fairness: the fewest attempts of a worker by the most.
        gap: the longest time without an attempt, µs.
        permits: attempts a worker, on average.
    """

    used: float
    scripts: float
    fairness: float
    gap: float
    missed: int
    refused: int
    permits: float


def steady(fleet: Fleet, warm: float, window: float) -> Steady:
    """Run a fleet and measure the window after the warm-up."""
    fleet.run(warm)
    record = fleet.record
    start = fleet.now
    living = [worker for worker in fleet.workers if not worker.dead]
    before = [worker.attempts for worker in living]
    first, visits, missed, refused = (
        len(record.attempts),
        record.visits,
        record.missed,
        len(record.refused),
    )
    fleet.run(window)
    got = [worker.attempts - was for worker, was in zip(living, before, strict=True)]
    times = [start, *record.attempts[first:], fleet.now]
    return Steady(
        used=sum(got) * fleet.interval / window,
        scripts=(record.visits - visits) / max(1, sum(got)),
        fairness=min(got) / max(1, *got),
        gap=max(b - a for a, b in pairwise(times)),
        missed=record.missed - missed,
        refused=len(record.refused) - refused,
        permits=sum(got) / len(got),
    )


def most_above_rate(fleet: Fleet) -> float:
    """Return the largest excess of attempts over the rate in any window, in calls."""
    lowest, excess = 0.0, 0.0
    for count, time in enumerate(fleet.record.attempts):
        ahead = count - time / fleet.interval
        lowest = min(lowest, ahead) if count else ahead
        excess = max(excess, ahead - lowest + 1)
    return excess


def seconds(fleet: Fleet, start: float, count: int = 5) -> list[float]:
    """Return the share of the slots used in each second after a moment."""
    used = [0] * count
    for time in fleet.record.attempts:
        index = int((time - start) // SECOND)
        if time >= start and index < count:
            used[index] += 1
    return [n * fleet.interval / SECOND for n in used]


def longest_gap(fleet: Fleet, start: float) -> float:
    """Return the longest time without an attempt from a moment on, µs."""
    times = [start, *(time for time in fleet.record.attempts if time > start), fleet.now]
    return max(after - before for before, after in pairwise(times))
