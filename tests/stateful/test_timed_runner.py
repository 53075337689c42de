"""A walk that took too long to tell is discarded, and that is said; a quick one is believed."""

from collections.abc import Iterator

import pytest
from hypothesis.errors import UnsatisfiedAssumption
from stateful.timed_runner import LONGEST_S, TimedRunner


class HandClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> HandClock:
    """Return a clock that stands at the beginning of a walk."""
    return HandClock()


@pytest.fixture
def runner(clock: HandClock) -> Iterator[TimedRunner]:
    """Begin a walk."""
    runner = TimedRunner(clock)
    yield runner
    runner.close()


async def agree() -> None:
    """Be a step that goes as foretold."""


async def disagree() -> None:
    """Be one that does not."""
    raise AssertionError


def test_a_quick_walk_that_disagrees_fails(runner: TimedRunner) -> None:
    with pytest.raises(AssertionError):
        runner.run(disagree())
    assert runner.disagreed


def test_a_slow_walk_that_disagrees_is_discarded(
    runner: TimedRunner, clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    clock.now_s = LONGEST_S
    with pytest.raises(UnsatisfiedAssumption):
        runner.run(disagree())
    assert runner.disagreed
    assert "a walk of 10 s is discarded" in capsys.readouterr().err


def test_a_slow_walk_that_agrees_goes_on(runner: TimedRunner, clock: HandClock) -> None:
    clock.now_s = LONGEST_S
    runner.run(agree())
    assert not runner.disagreed
