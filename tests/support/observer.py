"""What a ledger in this process can prove: it notes a call when its loop comes round to it.

A loop that stood still sees all that came meanwhile at one moment, and would take it for a burst.
"""

from bisect import bisect_right
from collections.abc import AsyncIterator
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
        """Find by how many calls the worst of all windows exceeds its rate for certain.

        A window begins at a moment since when a call may have been there, and a call counts if it
        must lie inside. Both moments grow from call to call, so one pass finds the worst.
        """
        worst = lead = float("-inf")
        for count, attempt in enumerate(self._ledger.attempts):
            lead = max(lead, self._earliest(attempt.at) * rate - count)
            worst = max(worst, count + 1 - attempt.at * rate + lead)
        return worst

    def _earliest(self, at: float) -> float:
        """Say since when a call noted at ``at`` may have been there: a call is read in one turn of
        the loop and noted in another.
        """
        beat = bisect_right(self._beats, at) - 1
        return self._beats[max(0, beat - 1)]


@asynccontextmanager
async def observed(stand_in: Sandbox) -> AsyncIterator[Observer]:
    """Watch a stand-in of this process while the block runs."""
    observer = Observer(stand_in.ledger)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(observer.run)
        yield observer
        tasks.cancel_scope.cancel()
