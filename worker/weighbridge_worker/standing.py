"""How a worker stands: how far ahead it needs its slots, whether it keeps them, whether the
endpoint takes its key.
"""

import math

import anyio

DECAY = 0.95
SAFETY = 1.5
MAX_LEAD_S = 0.1
"""A slow visit is remembered for some twenty; the next may be half as slow again."""

LONGER_TRIP = 2.0
"""How much longer than the last quickest one a visit's way may come to be taken for the usual."""

SIT_OUT_S = 0.1
MAX_SIT_OUT_S = 10.0
PROBE_KEY_S = 10.0
MAX_PROBE_KEY_S = 300.0


class Standing:
    """One worker's own standing; pure but for the loop's clock."""

    def __init__(self) -> None:
        self._delay_s = 0.0
        self._trip_s = math.inf
        self._misses = 0
        self._missed_in = 0
        self._next_at = 0.0
        self._probe_s = PROBE_KEY_S
        self.barred = False

    @property
    def state(self) -> str:
        """One word for status and health."""
        if self.barred:
            return "key_refused"
        return "sitting_out" if self._misses else "taking"

    def began(self, delay_s: float) -> None:
        """Note how long a visit took, from the request to the start of its leases."""
        self._delay_s = max(delay_s, self._delay_s * DECAY)

    def usual_trip_s(self, trip_s: float) -> float:
        """Note how long a visit's request and reply took; returns what of it is just the way.

        A way that is always long delays every call alike, and makes none of them a burst; only
        what a visit takes beyond that is lateness. One slow visit changes little.
        """
        self._trip_s = min(trip_s, self._trip_s * LONGER_TRIP)
        return self._trip_s

    def lead_s(self, grace_s: float) -> float:
        """Seconds that a slot must lie ahead to be met, the grace taken off."""
        return min(MAX_LEAD_S, max(0.0, self._delay_s * SAFETY - grace_s))

    def rest_s(self) -> float:
        """Seconds to stay away from the queue from now on."""
        return max(0.0, self._next_at - anyio.current_time())

    def met(self, operation: int) -> None:
        """Note a slot that was met: a take that met one is no miss, whatever else it missed."""
        if operation >= self._missed_in:
            self._misses = 0

    def missed_again(self, operation: int) -> None:
        """Note a job that missed its second slot too: sit out, longer each time in a row.

        One miss is a stall, which takes many slots with it at a fast rate; a second one, of a slot
        that was given far enough ahead, is a machine that cannot keep up.
        """
        if operation <= self._missed_in:
            return
        self._missed_in = operation
        self._next_at = anyio.current_time() + min(MAX_SIT_OUT_S, SIT_OUT_S * 2.0**self._misses)
        self._misses += 1

    def bar(self) -> bool:
        """Stay away until the next probe, later each time; True if this is new."""
        if self.barred and self.rest_s() > 0:
            return False  # of a call that was in flight at the first refusal
        new, self.barred = not self.barred, True
        self._next_at = anyio.current_time() + self._probe_s
        self._probe_s = min(MAX_PROBE_KEY_S, self._probe_s * 2)
        return new

    def unbar(self) -> bool:
        """Come back; True if this is new."""
        new, self.barred = self.barred, False
        self._probe_s = PROBE_KEY_S
        return new
