"""How the sizes of a file's payloads are spread: a histogram, and the largest."""

import heapq
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from weighbridge_worker.cli.lines import Line

LARGEST = 10
EDGES = tuple(step * 10**power for power in range(1, 7) for step in (1, 2, 5))
"""Upper edges of the bins, included: 10, 20, 50, 100 … 5,000,000 tokens."""


@dataclass(frozen=True, slots=True, order=True)
class Sized:
    """One payload; the line before breaks ties, so that the order is certain."""

    tokens: int
    before: int
    line: Line = field(compare=False)
    model: str = field(compare=False)


@dataclass(slots=True)
class Spread:
    """What has been seen so far."""

    bins: Counter[int] = field(default_factory=Counter)
    _largest: list[Sized] = field(default_factory=list)

    def add(self, line: Line, model: str, tokens: int) -> None:
        """Note one payload."""
        self.bins[min(bisect_left(EDGES, tokens), len(EDGES) - 1)] += 1
        sized = Sized(tokens, -line.number, line, model)
        if len(self._largest) < LARGEST:
            heapq.heappush(self._largest, sized)
        else:
            heapq.heappushpop(self._largest, sized)

    @property
    def largest(self) -> list[Sized]:
        """The largest, the heaviest first."""
        return sorted(self._largest, reverse=True)

    def histogram(self) -> list[tuple[str, int]]:
        """Give a name and the number of payloads for each bin from the first to the last used."""
        if not self.bins:
            return []
        return [
            (f"to {EDGES[index]:,}", self.bins[index])
            for index in range(min(self.bins), max(self.bins) + 1)
        ]
