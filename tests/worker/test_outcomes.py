"""What a worker reports of its calls."""

from weighbridge.exchange import Calls
from weighbridge_worker.outcomes import Outcomes


def test_calls_are_reported_once() -> None:
    outcomes = Outcomes()
    for failed in (True, False, True):
        outcomes.note(0, failed=failed)
    assert outcomes.report() == Calls(answered=1, failed=2, generation=0)
    assert outcomes.report() == Calls()


def test_a_new_generation_begins_anew() -> None:
    outcomes = Outcomes()
    outcomes.note(0, failed=True)
    outcomes.follow(1)
    outcomes.note(1, failed=True)
    outcomes.follow(1)
    outcomes.note(1, failed=False)
    assert outcomes.report() == Calls(answered=1, failed=1, generation=1)


def test_late_calls_of_an_older_generation_are_left_out() -> None:
    outcomes = Outcomes()
    outcomes.follow(3)
    outcomes.note(2, failed=True)
    assert outcomes.report() == Calls(generation=3)


def test_a_generation_that_a_lost_bucket_began_anew_is_followed() -> None:
    outcomes = Outcomes()
    outcomes.follow(7)
    outcomes.follow(0)
    outcomes.note(0, failed=True)
    assert outcomes.report() == Calls(failed=1)
