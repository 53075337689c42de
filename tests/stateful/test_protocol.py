"""Whatever order the steps come in, the queue does what its model says."""

from functools import partial

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from stateful.machine import ProtocolMachine

SMALL = settings(
    max_examples=25,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def test_every_order_of_steps_agrees_with_the_model(redis_url: str) -> None:
    run_state_machine_as_test(partial(ProtocolMachine, redis_url), settings=SMALL)
