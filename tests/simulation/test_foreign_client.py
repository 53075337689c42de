"""Sharing a limit with a client that is not ours, by its 429s alone, in virtual time."""

from dataclasses import dataclass

import pytest
from simulation.actors import Conditions
from simulation.endpoint import ForeignClient
from simulation.events import SECOND
from simulation.fleet import Fleet
from simulation.measure import seconds

SEED = 20_261_123
FEEDBACK = Conditions(answer=(100_000, 240_000))
"""A refusal is known after some 170 ms."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Four minutes beside a foreign client.

    Args:
        refused: 429s as a share of our calls.
        used: calls that passed as a share of what the other one leaves.
    """

    refused: float
    used: float


def beside(fleet: Fleet, client: ForeignClient, share: float) -> Shared:
    calls, refused = len(fleet.record.attempts), len(fleet.record.refused)
    fleet.run(240 * SECOND)
    client.leave()
    calls = len(fleet.record.attempts) - calls
    refused = len(fleet.record.refused) - refused
    left = (1 - share) * 240 * SECOND / fleet.interval
    return Shared(refused / calls, (calls - refused) / left)


def shared(per_minute: int, depth: int, share: float) -> tuple[Fleet, Shared]:
    print(f"seed {SEED}")
    fleet = Fleet(per_minute, 4, seed=SEED, depth=depth, conditions=FEEDBACK)
    fleet.run(10 * SECOND)
    client = ForeignClient(fleet.events, fleet.endpoint, share * per_minute, seed=SEED)
    return fleet, beside(fleet, client, share)


@pytest.mark.parametrize(
    ("per_minute", "depth"),
    [(1_000, 10), (3_000, 10), (3_000, 50), (5_000, 10), (20_000, 20), (20_000, 333)],
    ids=str,
)
def test_a_foreign_client_costs_few_429s_and_little_of_what_it_leaves(
    per_minute: int, depth: int
) -> None:
    _, found = shared(per_minute, depth, 0.3)
    assert found.refused <= 0.005
    assert found.used >= 0.95


@pytest.mark.parametrize("per_minute", [3_000, 5_000])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_small_or_a_large_one_costs_no_more(per_minute: int, share: float) -> None:
    _, found = shared(per_minute, 10, share)
    assert found.refused <= 0.005
    assert found.used >= 0.95


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
def test_the_whole_rate_is_regained_within_two_minutes_after_a_foreign_client_left(
    share: float,
) -> None:
    fleet, _ = shared(3_000, 10, share)
    fleet.run(130 * SECOND)
    assert sum(seconds(fleet, fleet.now - 10 * SECOND, 10)) >= 9.9


def test_one_stray_429_costs_less_than_four_seconds_of_the_rate() -> None:
    print(f"seed {SEED}")
    fleet = Fleet(3_000, 4, seed=SEED, conditions=FEEDBACK)
    fleet.run(10 * SECOND)
    fleet.bucket.penalise(int(fleet.now), int(SECOND), 0)
    fleet.run(121 * SECOND)
    assert sum(seconds(fleet, 10 * SECOND, 120)) >= 116
