"""What this gateway has answered since its start."""

from collections import Counter
from dataclasses import dataclass, field

from weighbridge.figures import Durations
from weighbridge.records import CacheUse


@dataclass(frozen=True, slots=True)
class Tally:
    """Cumulative counts, for the metrics and the dashboard.

    Args:
        statuses: answers by their HTTP status.
        cache: counts by how they were come by.
        waits: how long those counts took, from the whole body to the answer.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    cache: Counter[CacheUse] = field(default_factory=Counter)
    waits: Durations = field(default_factory=Durations)
