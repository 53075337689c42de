"""What a process knows of the server's clock, from the round trips it makes anyway."""

import math

DRIFT = 0.0002
"""How far two clocks may part by themselves: several times what crystals do, and a slow slew."""

SLOWER = 0.25
"""How much of what two trips in a row took longer the bounds give way; a single one changes none.
A way that has become long delays every call alike, and makes none of them a burst."""


class ServerClock:
    """Bounds of the difference between the server's clock and this process's own.

    The server reads its clock between a request and its reply, so every round trip bounds the
    difference by its own length. All of them together bound it by little more than the fastest two
    ways, so that a reply that was held up costs no slot. The bounds widen by what clocks drift, and
    where the way stays longer; a round trip that contradicts them saw the server's clock jump, and
    then it alone counts.

    Times are in any one unit.
    """

    def __init__(self) -> None:
        self._least = -math.inf
        self._most = math.inf
        self._learned_at = -math.inf
        self._last_trip = 0.0

    def learn(self, *, asked_at: float, read: float, replied_at: float) -> None:
        """Note a round trip; ``read`` by the server's clock, the others by this process's."""
        least, most = read - replied_at, read - asked_at
        trip = replied_at - asked_at
        longer = min(trip, self._last_trip) - (self._most - self._least)
        give = DRIFT * (replied_at - self._learned_at) + SLOWER / 2 * max(0.0, longer)
        self._least = max(self._least - give, least)
        self._most = min(self._most + give, most)
        self._learned_at, self._last_trip = replied_at, trip
        if self._least > self._most:
            self._least, self._most = least, most

    def surely_from(self, moment: float) -> float:
        """Return when, by our clock, a moment of the server's is reached for sure: never early."""
        return moment - self._least

    def possibly_from(self, moment: float) -> float:
        """Return when, by our clock, a moment of the server's may be reached: never late."""
        return moment - self._most
