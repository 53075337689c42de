"""Whatever order the steps come in, the queue does what its model says."""

from hypothesis import HealthCheck, settings
from stateful.machine import walk

SMALL = settings(
    max_examples=20,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
"""The same walks every time; ``make fuzz`` takes longer ones at random."""


def test_every_order_of_steps_agrees_with_the_model(redis_url: str) -> None:
    walk(redis_url, SMALL)
