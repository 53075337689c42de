"""Ends jobs: what completes together is settled together."""

from collections.abc import Callable, Sequence

import anyio
from redis.exceptions import RedisError
from structlog.typing import FilteringBoundLogger

from weighbridge.jobs import Jobs, Verdict
from weighbridge.loop_clock import loop_time
from weighbridge_worker.executor import HeldLease, Settle
from weighbridge_worker.tally import Tally

BATCH = 128
"""Jobs a round trip settles at most."""

GATHER_S = 0.005
"""Between two round trips, at least, while other calls run: what ends meanwhile goes together."""

AGAIN_S = 0.5
"""Between two tries while the server is away."""

_Ending = tuple[HeldLease, Settle]


class Settler:
    """Takes verdicts from executors and settles them until its door is closed.

    Args:
        in_flight: tells how many leases are on their way to a verdict.
    """

    def __init__(
        self, jobs: Jobs, tally: Tally, in_flight: Callable[[], int], log: FilteringBoundLogger
    ) -> None:
        self._jobs = jobs
        self._tally = tally
        self._in_flight = in_flight
        self._log = log
        self._gather_until = 0.0
        # No bound of its own: no more verdicts wait here than the worker has places.
        self._waiting: list[_Ending] = []
        self._told = anyio.Event()
        self._closed = False
        self.settled_at: float | None = None
        """When results were last settled, by the loop's clock."""
        self.unsettled_since: float | None = None
        """Since when results wait to be settled."""

    def settle(self, held: HeldLease, decision: Settle) -> None:
        """Hand a verdict in."""
        if self.unsettled_since is None:
            self.unsettled_since = loop_time()
        self._waiting.append((held, decision))
        self._told.set()

    def close(self) -> None:
        """Let ``run`` return once everything handed in is settled."""
        self._closed = True
        self._told.set()

    async def run(self) -> None:
        """Settle batch by batch until closed."""
        while await self._any():
            await self._gather()
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            await self._settle(batch)
            self.unsettled_since = loop_time() if self._waiting else None

    async def _any(self) -> bool:
        """Wait for a verdict; False if none will come."""
        while not self._waiting and not self._closed:
            self._told = anyio.Event()
            await self._told.wait()
        return bool(self._waiting)

    async def _gather(self) -> None:
        """Let more verdicts come in, if any may."""
        if self._in_flight():
            await anyio.sleep(max(0.0, self._gather_until - loop_time()))
        self._gather_until = loop_time() + GATHER_S

    async def _settle(self, batch: Sequence[_Ending]) -> None:
        """Settle, and keep trying while the server is away and a lease may still hold."""
        ends_at = max(held.ends_at for held, _ in batch)
        verdicts = [Verdict(held.lease, decision.result) for held, decision in batch]
        while True:
            try:
                stale = await self._jobs.settle(verdicts)
            except RedisError as error:
                if loop_time() > ends_at:
                    self._log.error("results_lost", jobs=len(verdicts), error=type(error).__name__)
                    return
                await anyio.sleep(AGAIN_S)
            else:
                self.settled_at = loop_time()
                self._note(batch)
                if stale:
                    self._log.warning("leases_lost", jobs=stale)
                return

    def _note(self, batch: Sequence[_Ending]) -> None:
        for held, decision in batch:
            called = decision.call_failed is not None
            self._tally.ended(held, decision.result, called=called)
