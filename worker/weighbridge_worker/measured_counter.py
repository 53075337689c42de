"""A counter whose calls are measured, whatever becomes of them."""

import time

from weighbridge.figures import CallOutcome
from weighbridge_worker.calls import Counter, KeyRefused, PermanentFailure, Throttled, Tokens
from weighbridge_worker.tally import Tally


class MeasuredCounter:
    """Passes calls on to a counter and notes how each went, and how long it took."""

    def __init__(self, counter: Counter, tally: Tally) -> None:
        self._counter = counter
        self._tally = tally

    async def count(self, body: bytes, betas: tuple[str, ...]) -> Tokens:
        """Make one call; raises what the counter raises."""
        began = time.monotonic()
        try:
            tokens = await self._counter.count(body, betas)
        except BaseException as error:  # a cancelled call is one that was made
            self._tally.called(_outcome(error), time.monotonic() - began)
            raise
        self._tally.called("counted", time.monotonic() - began)
        return tokens


def _outcome(error: BaseException) -> CallOutcome:
    if isinstance(error, PermanentFailure):
        return "refused"
    if isinstance(error, Throttled):
        return "throttled"
    return "key_refused" if isinstance(error, KeyRefused) else "failed"
