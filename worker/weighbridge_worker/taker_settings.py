"""What a taker is told of its worker."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TakerSettings:
    """Who takes, how much at once, and what one lease and one slot are worth."""

    worker: str
    version: str
    concurrency: int
    lease_s: float
    interval_us: int
