"""Permits for calls that do not go through the queue, drawn from the schedule the workers use."""

from collections import deque

import anyio

from weighbridge.connection import RedisClient
from weighbridge.scripts import Scripts

MAX_GRACE_S = 0.25
GRACE_SLOTS = 5
"""A slot may be used late by half of what an endpoint's bucket of ten is taken to forgive."""

MOST_AHEAD = 4
"""Slots that are drawn at once for a caller that uses them as fast as they come."""


class Draw:
    """One caller's place in the schedule: draws slots and lets each be used once, on time.

    Args:
        unrepeated: a client that repeats nothing, or the slots of a lost reply would lapse twice.
        caller: a name of this process among the living.
    """

    def __init__(
        self, unrepeated: RedisClient, scripts: Scripts, *, caller: str, interval_us: int
    ) -> None:
        self._redis = unrepeated
        self._scripts = scripts
        self._caller = caller
        self._interval_us = interval_us
        self._drawing = anyio.Lock()
        self._slots: deque[float] = deque()
        self._turn_at: float | None = None
        self._waiting = 0
        self._ahead = 1

    async def take_slot(self) -> None:
        """Return at the moment of a slot that is now the caller's."""
        self._waiting += 1
        try:
            while not await self._use_drawn():
                async with self._drawing:
                    if not self._slots:
                        await self._draw()
        finally:
            self._waiting -= 1

    async def _use_drawn(self) -> bool:
        """Wait for the next drawn slot; False if there is none, or it was missed."""
        if not self._slots:
            return False
        slot = self._slots.popleft()
        await anyio.sleep_until(slot)
        if anyio.current_time() - slot <= self._grace_s:
            return True
        self._ahead = 1  # what was drawn ahead went to waste
        return False

    @property
    def _grace_s(self) -> float:
        return min(MAX_GRACE_S, GRACE_SLOTS * self._interval_us / 1_000_000)

    async def _draw(self) -> None:
        """Draw once, in our turn; what comes too early to use is left in the schedule."""
        now = anyio.current_time()
        turn_s = None if self._turn_at is None else self._turn_at - now
        reply = await self._scripts.permit(
            self._redis,
            caller=self._caller,
            want=max(self._waiting, self._ahead),
            interval_us=self._interval_us,
            turn_us=None if turn_s is None else max(0, int(turn_s * 1_000_000)),
        )
        replied_at = anyio.current_time()
        self._interval_us = reply.interval_us
        self._turn_at = replied_at + reply.visit_us / 1_000_000
        self._slots.extend(replied_at + slot_us / 1_000_000 for slot_us in reply.slots_us)
        if self._slots:
            self._ahead = min(MOST_AHEAD, self._ahead * 2)
        else:
            await anyio.sleep(min(reply.visit_us, reply.longest_us) / 1_000_000)
