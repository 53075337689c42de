"""How much of the rate a cut leaves by now, as ``lua/parts/regrowth.lua`` has it: for looks from
outside, which decide nothing. Shares are integers, in millionths of the full rate; times are in µs.
"""

WHOLE = 1_000_000
REGROWTH_US = 60_000_000
PLATEAU_FROM = 960_000
PLATEAU_TO = 1_010_000
RETURN_US = 105_000_000
"""The numbers stand in parts/regrowth.lua too, and a test holds the two together."""


def share_of(cut: int, crest: int, since_us: int) -> int:
    """Return the share in force, ``since_us`` after a cut began to regrow.

    Args:
        crest: the share at which the last 429 came, about which it regrows slowly; 0 for none.
    """
    share, time = cut, max(0, since_us)
    start, end = crest * PLATEAU_FROM // WHOLE, crest * PLATEAU_TO // WHOLE
    if share < start:
        share, time = _climb(share, start, WHOLE, REGROWTH_US, time)
    if start <= share < end:
        crossing_us = RETURN_US - (WHOLE - end) * REGROWTH_US // WHOLE
        share, time = _climb(share, end, end - start, crossing_us, time)
    return min(WHOLE, share + time * WHOLE // REGROWTH_US)


def _climb(share: int, to: int, height: int, duration_us: int, time_us: int) -> tuple[int, int]:
    """Climb towards a share, at a height in a duration; returns the one reached, and time left."""
    needed_us = -((share - to) * duration_us // height)
    if needed_us <= time_us:
        return to, time_us - needed_us
    return share + time_us * height // duration_us, 0
