"""Starts the work on each lease when its slot has come: one sleep for all of them."""

import math
from collections.abc import Callable
from heapq import heappop, heappush

import anyio

from weighbridge.loop_clock import loop_time, tick_after
from weighbridge_worker.ceiling import Ceiling
from weighbridge_worker.executor import Draining, HeldLease


class Starter:
    """Holds leases until their slots.

    Args:
        ceiling: this process's own bound under the shared bucket.
        start: begins the work on a lease, or gives it back where the worker drains.
    """

    def __init__(
        self, ceiling: Ceiling, draining: Draining, start: Callable[[HeldLease], None]
    ) -> None:
        self._ceiling = ceiling
        self._draining = draining
        self._start = start
        self._waiting: list[tuple[float, int, HeldLease]] = []
        self._changed = anyio.Event()

    async def expect(self, held: HeldLease) -> None:
        """Start this lease at its slot, never before; at once if the worker drains.

        Waits for nothing. A lease that is due starts in here: to wake ``run`` for it would take
        longer than all else that lies between the queue's reply and the call.
        """
        if self._draining.is_set():
            self._start(held)
        elif self._waiting or held.slot_at > loop_time() or not self._ceiling.has_room():
            heappush(self._waiting, (held.slot_at, held.lease.token, held))
            if self._waiting[0][2] is held:
                self._changed.set()
        else:
            await self._pass(held)

    def wake(self) -> None:
        """Look at the drain, which waits for no slot."""
        self._changed.set()

    async def run(self) -> None:
        """Start leases until the drain, and then those that wait still."""
        while True:
            await self._until_due()
            if not self._waiting:
                return
            _, _, held = heappop(self._waiting)
            await self._pass(held)

    async def _pass(self, held: HeldLease) -> None:
        if held.calls and not self._draining.is_set():
            await self._ceiling.pass_under()
        self._start(held)

    async def _until_due(self) -> None:
        while not self._draining.is_set():
            due_at = math.inf
            if self._waiting:
                due_at = self._waiting[0][0]
                if due_at <= loop_time():
                    return
                if len(self._waiting) > 1:  # a lone one is worth the processor's time
                    due_at = tick_after(due_at)
            self._changed = anyio.Event()
            with anyio.CancelScope(deadline=due_at):
                await self._changed.wait()
