"""What a taker is told of its worker and of its slots."""

from dataclasses import dataclass

MAX_GRACE_S = 0.25
MIN_GRACE_S = 0.01
"""Below it no process could keep its slots, at rates whose endpoints forgive far more than ten."""

SERVER_DEPTH = 10
"""How many calls the endpoint's own bucket is assumed to forgive at once."""


@dataclass(frozen=True, slots=True)
class TakerSettings:
    """Who takes, how much at once, and what one lease and one slot are worth."""

    worker: str
    version: str
    concurrency: int
    lease_s: float
    interval_us: int

    def grace_s(self, interval_us: int) -> float:
        """How late a slot may be used: half of what the endpoint's bucket forgives."""
        return max(MIN_GRACE_S, min(MAX_GRACE_S, SERVER_DEPTH / 2 * interval_us / 1_000_000))
