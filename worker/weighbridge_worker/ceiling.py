"""A process's own bound under the shared bucket."""

from aiolimiter import AsyncLimiter

HEADROOM = 1.2


class Ceiling:
    """Lets a second's worth of calls through with head-room, and no more.

    The shared bucket paces; this never does, unless a bug in a script lets one process exceed the
    limit. ``aiolimiter`` knows one process and its loop's clock, so it could not hold the shared
    limit by itself.
    """

    def __init__(self, interval_us: int) -> None:
        self._interval_us = interval_us
        self._limiter = _limiter(interval_us)

    def follow(self, interval_us: int) -> None:
        """Follow the rate in force when it rises; a lower one is the bucket's business."""
        if interval_us < self._interval_us:
            self._interval_us = interval_us
            self._limiter = _limiter(interval_us)

    def has_room(self) -> bool:
        """Whether one more call is within the bound now, so that ``pass_under`` would not wait."""
        return self._limiter.has_capacity()

    async def pass_under(self) -> None:
        """Wait until one more call is within the bound."""
        await self._limiter.acquire()


def _limiter(interval_us: int) -> AsyncLimiter:
    return AsyncLimiter(max(2.0, HEADROOM * 1_000_000 / interval_us), 1.0)
