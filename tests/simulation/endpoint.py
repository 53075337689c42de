"""The endpoint in virtual time: the stand-in's own token bucket, and a client that is not ours."""

import math
import random

from simulation.events import SECOND, Events

from weighbridge_worker.sandbox.bucket import TokenBucket


class Endpoint:
    """Judges calls at their arrival.

    Args:
        depth: calls that its bucket forgives at once.

    Attributes:
        failing: the share of the calls that fail, whatever the bucket holds.
    """

    failing = 0.0

    def __init__(self, events: Events, per_minute: float, depth: float) -> None:
        self._bucket = TokenBucket(per_minute, round(depth), lambda: events.now / SECOND)

    def retry_after(self) -> int:
        """Return the header of a 429, in µs: whole seconds, at least one."""
        return int(max(1, math.ceil(self._bucket.next_in_s)) * SECOND)

    def passes(self) -> bool:
        """Take a token; says whether there was one."""
        return self._bucket.take()


class ForeignClient:
    """Calls the same endpoint at a rate of its own, whatever it is answered.

    Args:
        jitter: how far from its regular moment a call may come, in intervals.
    """

    def __init__(
        self,
        events: Events,
        endpoint: Endpoint,
        per_minute: float,
        *,
        seed: int,
        jitter: float = 0.5,
    ) -> None:
        self._events = events
        self._endpoint = endpoint
        self._interval = 60 * SECOND / per_minute
        self._dice = random.Random(seed)
        self._jitter = jitter
        self._leaves = math.inf
        self.calls = 0
        self.refused = 0
        self._plan(events.now)

    def leave(self) -> None:
        """Call no more."""
        self._leaves = self._events.now

    def _plan(self, time: float) -> None:
        late = self._jitter * self._dice.random() * self._interval
        self._events.at(time + late, self._call, time)

    def _call(self, planned: float) -> None:
        if self._events.now >= self._leaves:
            return
        self.calls += 1
        self.refused += not self._endpoint.passes()
        self._plan(planned + self._interval)
