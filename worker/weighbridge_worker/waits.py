"""How a taker waits: for the doorbell, for something of its own to change, or for a time."""

from collections.abc import Callable

import anyio

from weighbridge.connection import POLL_S
from weighbridge.jobs import Jobs
from weighbridge.loop_clock import loop_time, tick_after
from weighbridge_worker.executor import Draining


class Waits:
    """One taker's waits; each ends with the drain."""

    def __init__(self, jobs: Jobs, draining: Draining) -> None:
        self._jobs = jobs
        self._draining = draining
        self._changed = anyio.Event()
        self._holds: Callable[[], bool] | None = None
        self._idle = anyio.CancelScope()

    def tell(self) -> None:
        """Have a wait for a change look again: here, for it costs far more to wake its task."""
        if self._holds is not None and self._holds():
            self._changed.set()

    def wake(self) -> None:
        """End a wait for the doorbell, and tell."""
        self._idle.cancel()
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds; a look now and then shows that we live."""
        self._holds = holds
        with anyio.CancelScope(deadline=tick_after(loop_time() + POLL_S)):
            while not holds() and not self._draining.is_set():
                self._changed = anyio.Event()
                await self._changed.wait()
        self._holds = None

    async def for_doorbell(self, timeout_s: float) -> None:
        """Sleep until a submit rings."""
        with anyio.CancelScope() as self._idle:
            if not self._draining.is_set():
                await self._jobs.wait_for_doorbell(timeout_s)

    async def rest(self, seconds: float) -> None:
        """Sleep."""
        if seconds > 0:
            with anyio.CancelScope(deadline=tick_after(loop_time() + seconds)):
                await self._draining.wait()
