"""What this gateway has answered since its start."""

from collections import Counter
from dataclasses import dataclass, field

from weighbridge.records import CacheUse


@dataclass(frozen=True, slots=True)
class Tally:
    """Cumulative counts, for the metrics and the dashboard.

    Args:
        statuses: answers by their HTTP status.
        cache: counts by how they were come by.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    cache: Counter[CacheUse] = field(default_factory=Counter)
