"""How a worker stands: how far ahead it needs its slots, whether it keeps them, whether the
endpoint takes its key, and whether its calls alone fail.
"""

from typing import Literal

from weighbridge.loop_clock import loop_time

DECAY = 0.95
SAFETY = 1.5
MAX_LEAD_S = 0.1
"""A slow visit is remembered for some twenty; the next may be half as slow again."""

SIT_OUT_S = 0.1
MAX_SIT_OUT_S = 10.0
Bar = Literal["", "key_refused", "failing_alone"]
"""Why a worker makes no calls but probes; the last word stands in parts/caller.lua too."""

PROBES_S: dict[Bar, tuple[float, float]] = {
    "key_refused": (10.0, 300.0),
    "failing_alone": (1.0, 60.0),
}
"""Before the first probe, and between two at most."""


class Standing:
    """One worker's own standing; pure but for the loop's clock."""

    def __init__(self) -> None:
        self._delay_s = 0.0
        self._misses = 0
        self._missed_in = 0
        self._next_at = 0.0
        self._probe_s = 0.0
        self.barred: Bar = ""

    @property
    def state(self) -> str:
        """One word for status and health."""
        return self.barred or ("sitting_out" if self._misses else "taking")

    @property
    def sit_out_s(self) -> float:
        """How long the present absence lasts in all, if missed slots are its reason; else 0."""
        if self.barred or self.rest_s() <= 0:
            return 0.0
        return min(MAX_SIT_OUT_S, SIT_OUT_S * 2.0 ** (self._misses - 1)) if self._misses else 0.0

    def began(self, delay_s: float) -> None:
        """Note how long a visit took, from the request to the start of its leases."""
        self._delay_s = max(delay_s, self._delay_s * DECAY)

    def lead_s(self, grace_s: float) -> float:
        """Seconds that a slot must lie ahead to be met, the grace taken off."""
        return min(MAX_LEAD_S, max(0.0, self._delay_s * SAFETY - grace_s))

    def rest_s(self) -> float:
        """Seconds to stay away from the queue from now on."""
        return max(0.0, self._next_at - loop_time())

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
        self._next_at = loop_time() + min(MAX_SIT_OUT_S, SIT_OUT_S * 2.0**self._misses)
        self._misses += 1

    def bar(self, why: Bar) -> bool:
        """Stay away until the next probe, later each time; True if this is new."""
        if self.barred and self.rest_s() > 0:
            return False  # of a call that was in flight when this began
        new, self.barred = self.barred != why, why
        first_s, longest_s = PROBES_S[why]
        self._probe_s = first_s if new else min(longest_s, self._probe_s * 2)
        self._next_at = loop_time() + self._probe_s
        return new

    def unbar(self, why: Bar) -> bool:
        """Come back if this is why the worker stays away; True if it was."""
        if self.barred != why:
            return False
        self.barred, self._next_at = "", 0.0
        return True
