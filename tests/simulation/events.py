"""Virtual time: events in order, µs."""

import heapq
from collections.abc import Callable
from typing import Any

MILLISECOND = 1_000.0
SECOND = 1_000_000.0


class Events:
    """A queue of events; nothing happens between two of them."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, time: float, event: Callable[..., None], *args: Any) -> None:
        """Let an event happen at a moment; those of one moment happen as they were planned."""
        self._count += 1
        heapq.heappush(self._queue, (time, self._count, event, args))

    def run(self, until: float) -> None:
        """Let everything happen that is due until then."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            self.now, _, event, args = heapq.heappop(queue)
            event(*args)
        self.now = until
