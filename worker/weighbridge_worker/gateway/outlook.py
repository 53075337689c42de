"""When asking again makes sense: what waits before a job, at the rate that is permitted now."""

import time
from dataclasses import dataclass
from typing import Final

from weighbridge.admin import Admin, PoolState
from weighbridge.errors import QueueUnreachable
from weighbridge.records import Lane

LOOK_EVERY_S: Final = 1.0
"""All whose patience ends at once are told the same."""

UNKNOWN_S: Final = 60.0
"""Where nobody knows: no worker lives, or the fleet is held."""


@dataclass(frozen=True, slots=True)
class View:
    """An estimate of when a job that is in the queue will have been counted, and why."""

    ready_in_s: float
    words: str


def view_of(state: PoolState, lane: Lane) -> View:
    """Judge by the depth and the rate, penalties included."""
    limit = state.limit
    rate = limit.rpm * limit.share
    ahead = state.depth if lane is Lane.BATCH else state.interactive + state.leased
    if not state.workers or not rate:
        return View(UNKNOWN_S, "no worker is there")
    if limit.paused or limit.hold:
        return View(UNKNOWN_S, "the workers are held")
    if lane is Lane.INTERACTIVE and state.batch:
        rate *= 0.9  # every tenth slot is the other lane's
    return View(
        ahead * 60 / rate + limit.blocked_s,
        f"{ahead:,} jobs wait or are being counted, at {rate:,.0f} a minute",
    )


class Outlook:
    """Looks at the pool, at most once a second."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._looked = float("-inf")
        self._state: PoolState | None = None

    async def look(self, lane: Lane) -> View:
        """Estimate for a job that was just given up waiting for."""
        now = time.monotonic()
        if self._state is None or now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            try:
                self._state = await self._admin.inspect(count_cached=False)
            except QueueUnreachable:
                return View(UNKNOWN_S, "the queue cannot be reached")
        return view_of(self._state, lane)
