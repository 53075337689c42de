"""Whatever order the steps come in, the queue does what its model says."""

import pytest
from hypothesis import HealthCheck, settings
from stateful.machine import walk

SMALL = settings(
    max_examples=70,
    stateful_step_count=40,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
"""``make fuzz`` takes more and longer ones."""

SEED = 20_261_125


@pytest.mark.timeout(300)  # tens of thousands of round trips, on however busy a machine
def test_every_order_of_steps_agrees_with_the_model(redis_url: str) -> None:
    print(f"seed {SEED}")
    walk(redis_url, SMALL, SEED)
