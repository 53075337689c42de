"""How late a slot may be used."""

MAX_GRACE_S = 0.25
MIN_GRACE_S = 0.01
"""Below it no process could keep its slots, at rates whose endpoints forgive far more than ten."""

SERVER_DEPTH = 10
"""How many calls the endpoint's own bucket is assumed to forgive at once."""


def grace_s(interval_us: int) -> float:
    """Return half of what the endpoint's bucket forgives, in seconds."""
    return max(MIN_GRACE_S, min(MAX_GRACE_S, SERVER_DEPTH / 2 * interval_us / 1_000_000))
