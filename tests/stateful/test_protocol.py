"""Whatever order the steps come in, the queue does what its model says."""

import pytest
from hypothesis import HealthCheck, settings
from stateful.machine import walk

SMALL = settings(
    max_examples=30,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
"""The same walks every time; ``make fuzz`` takes longer ones at random."""


@pytest.mark.timeout(300)  # some 15,000 round trips: on a busy machine, a matter of luck
def test_every_order_of_steps_agrees_with_the_model(redis_url: str) -> None:
    walk(redis_url, SMALL)
