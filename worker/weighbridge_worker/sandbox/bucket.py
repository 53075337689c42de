"""The stand-in's own limit: a token bucket that starts full and refills continuously.

That is the API's algorithm (https://platform.claude.com/docs/en/api/rate-limits); how deep its
bucket is for counting is not published.
"""

from collections.abc import Callable


class TokenBucket:
    """Gives one token a call.

    Args:
        rpm: tokens that come back in a minute.
        depth: tokens that it holds at most.
        clock: seconds of a clock that never jumps.
    """

    def __init__(self, rpm: float, depth: int, clock: Callable[[], float]) -> None:
        self.rpm = rpm
        self.depth = depth
        self._clock = clock
        self._tokens = float(depth)
        self._seen = clock()

    @property
    def remaining(self) -> int:
        """Calls that would pass at once."""
        self._refill()
        return int(self._tokens)

    @property
    def full_in_s(self) -> float:
        """Seconds until the bucket is full, if nobody calls."""
        self._refill()
        return (self.depth - self._tokens) * 60 / self.rpm

    @property
    def next_in_s(self) -> float:
        """Seconds until a call would pass."""
        self._refill()
        return max(0.0, 1 - self._tokens) * 60 / self.rpm

    def take(self) -> bool:
        """Take a token, if there is one; says whether the call may pass."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _refill(self) -> None:
        now = self._clock()
        gained = (now - self._seen) * self.rpm / 60
        self._tokens = min(float(self.depth), self._tokens + gained)
        self._seen = now
