"""What a ledger in this process can prove: it notes a call when its loop comes round to it.

A loop that stood still sees all that came meanwhile at one moment, and would take it for a burst.
"""

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio

from weighbridge_worker.sandbox import Sandbox
from weighbridge_worker.sandbox.ledger import Ledger

BEAT_S = 0.005


class Observer:
    """Knows when the loop that keeps a ledger looked around."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._beats = [ledger.now()]

    async def run(self) -> None:
        """Note the loop's beats until cancelled."""
        while True:
            await anyio.sleep(BEAT_S)
            self._beats.append(self._ledger.now())

    def most_over(self, rate: float) -> float:
        """Find by how many calls the worst of all windows exceeds its rate for certain."""
        arrivals = [(self._earliest(at.at), at.at) for at in self._ledger.attempts]
        return max(_over(arrivals, start, rate) for start, _ in arrivals)

    def _earliest(self, at: float) -> float:
        """Say since when a call noted at ``at`` may have been there: a call is read in one turn of
        the loop and noted in another.
        """
        beat = bisect_right(self._beats, at) - 1
        return self._beats[max(0, beat - 1)]


def _over(arrivals: Sequence[tuple[float, float]], start: float, rate: float) -> float:
    """Find the worst window that begins at a moment; a call counts if it must lie inside."""
    inside = sorted(at for earliest, at in arrivals if earliest >= start)
    return max(count + 1 - (at - start) * rate for count, at in enumerate(inside))


@asynccontextmanager
async def observed(stand_in: Sandbox) -> AsyncIterator[Observer]:
    """Watch a stand-in of this process while the block runs."""
    observer = Observer(stand_in.ledger)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(observer.run)
        yield observer
        tasks.cancel_scope.cancel()
