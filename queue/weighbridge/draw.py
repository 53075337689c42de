"""Permits for calls that do not go through the queue, drawn from the schedule the workers use."""

from collections import deque

import anyio

from weighbridge.connection import RedisClient
from weighbridge.grace import grace_s
from weighbridge.loop_clock import tick_after
from weighbridge.scripts import Scripts
from weighbridge.server_clock import ServerClock

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
        self._server_clock = ServerClock()
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
        await anyio.sleep_until(tick_after(slot))
        if anyio.current_time() - slot <= grace_s(self._interval_us):
            return True
        self._ahead = 1  # what was drawn ahead went to waste
        return False

    async def _draw(self) -> None:
        """Draw once, in our turn; what comes too early to use is left in the schedule."""
        asked_at = anyio.current_time()
        turn_s = None if self._turn_at is None else self._turn_at - asked_at
        reply = await self._scripts.permit(
            self._redis,
            caller=self._caller,
            want=max(self._waiting, self._ahead),
            interval_us=self._interval_us,
            turn_us=None if turn_s is None else max(0, int(turn_s * 1_000_000)),
        )
        replied_at = anyio.current_time()
        read, clock = reply.now_us / 1_000_000, self._server_clock
        clock.learn(asked_at=asked_at, read=read, replied_at=replied_at)
        self._interval_us = reply.interval_us
        self._turn_at = replied_at + reply.visit_us / 1_000_000
        # By the server's clock and never early: a reply that was held up must not bunch the calls.
        self._slots.extend(
            clock.surely_from((reply.now_us + slot_us) / 1_000_000) for slot_us in reply.slots_us
        )
        if self._slots:
            self._ahead = min(MOST_AHEAD, self._ahead * 2)
        else:
            await anyio.sleep(min(reply.visit_us, reply.longest_us) / 1_000_000)
