"""Runs the steps of one walk, and knows how long it takes: the model knows of no time."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hypothesis.errors import UnsatisfiedAssumption

T = TypeVar("T")

LONGEST_S = 10.0
"""Nothing that the server times ends sooner; a claim on a suspect ends then."""


class TimedRunner:
    """One event loop, which lives as long as the walk.

    Args:
        clock: the time in seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.disagreed = False
        self._clock = clock
        self._began = clock()
        self._runner = asyncio.Runner()

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """Run a step and return what it does.

        Raises:
            AssertionError: the server disagrees with the model.
            UnsatisfiedAssumption: it does, but the walk is so old that its claims, leases or
                tombstones may have ended. Hypothesis walks another in its place.
        """
        try:
            return self._runner.run(step)
        except AssertionError:
            self.disagreed = True
            took = self._clock() - self._began
            if took < LONGEST_S:
                raise
            print(f"a walk of {took:.0f} s is discarded: too slow to tell", file=sys.stderr)
            raise UnsatisfiedAssumption from None

    def close(self) -> None:
        """Close the loop."""
        self._runner.close()
