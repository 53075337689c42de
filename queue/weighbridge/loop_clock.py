"""The event loop's clock, asked directly, and what of its time a timer can keep.

``anyio.current_time`` gives the same time ten times as slowly, and each job asks for it often.
"""

from asyncio import get_running_loop
from math import ceil

TICKS = 1000
"""A second: uvloop's clock and timers know whole milliseconds only."""

NOISE = 1e-6
"""Of a tick: what a sum of times may be off."""


def loop_time() -> float:
    """Return the present by the running loop's clock, in seconds."""
    return get_running_loop().time()


def tick_after(moment: float) -> float:
    """Return the first tick at or after a moment, for a timer that is to go off then.

    A timer for less than half a tick ahead goes off at once on uvloop, before its moment; a scope
    of anyio's sets it again and again until then, and the processor is busy with nothing else.
    """
    return ceil(moment * TICKS - NOISE) / TICKS
