"""Passes on what the endpoint's rate-limit headers say, where they come, and seldom enough."""

from structlog.typing import FilteringBoundLogger

from weighbridge.bucket import Bucket
from weighbridge.loop_clock import loop_time
from weighbridge_worker.calls import Tokens

LOW_EVERY_S = 1.0
"""Between two warnings of one worker; the bucket heeds the fleet's once a second too."""

LIMIT_EVERY_S = 60.0
"""Between two reports of a lower limit, which the bucket believes for ten minutes."""

LOW_SHARE = 1 / 3
"""Of the most that the endpoint's bucket was seen to hold: below it somebody else draws on it."""


class Feedback:
    """One worker's ear on the endpoint's own count of us.

    Args:
        rpm: our own setting; only a lower limit is worth a report.
    """

    def __init__(self, bucket: Bucket, log: FilteringBoundLogger, *, rpm: int) -> None:
        self._bucket = bucket
        self._log = log
        self._rpm = rpm
        self._most = 0
        self._low_at = 0.0
        self._limit_at = 0.0
        self._limit = 0

    async def heard(self, tokens: Tokens) -> None:
        """Note an answer's headers; tell the bucket what it should heed."""
        now = loop_time()
        self._most = max(self._most, tokens.remaining)
        low = 0 <= tokens.remaining < self._most * LOW_SHARE and now >= self._low_at
        lower = 0 < tokens.limit < self._rpm and now >= self._limit_at
        if low:
            self._low_at = now + LOW_EVERY_S
        if lower:
            self._limit_at = now + LIMIT_EVERY_S
            self._say(tokens.limit)
        if low or lower:
            await self._bucket.observe(limit=tokens.limit, low=low)

    def _say(self, limit: int) -> None:
        if limit != self._limit:
            self._limit = limit
            self._log.warning("limit_lower_than_set", rpm=limit, set_rpm=self._rpm)
