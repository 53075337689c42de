"""Many payloads on their way to a decision at once, over one stream of counts.

The stream is fed while it is read: a payload that has to be counted a second time goes before those
that were not begun, so the pool always has work and nothing waits for a round to end.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

from weighbridge.count_stream import Item
from weighbridge.preparation import RawPayload
from weighbridge.records import Lane, NotCountable, Outcome
from weighbridge.uses.banding import Found, Walk, Wish


class CountsFed(Protocol):
    """What a router needs of a client: counts of payloads that are still being thought of."""

    def count_many(
        self, payloads: AsyncIterable[RawPayload], *, lane: Lane, ordered: bool
    ) -> AsyncGenerator[Item, None]:
        """Yield an item a payload, with its place among them."""
        ...


@dataclass(slots=True, eq=False)
class Trip:
    """One payload's walk; ``place`` is the payload's among all.

    Args:
        body: what is counted, whatever model it names; or why there is nothing to count.
    """

    place: int
    body: dict[str, Any] | NotCountable
    wish: Wish
    steps: Walk
    wanted: list[str] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    found: Found | None = None

    def go_on(self) -> list[tuple["Trip", str]]:
        """Take the next step; returns what is to be counted for it, nothing at the end."""
        try:
            if self.wanted:
                self.wanted = self.steps.send([self.outcomes[model] for model in self.wanted])
            else:
                self.wanted = next(self.steps)
        except StopIteration as done:
            self.found = done.value
            return []
        if isinstance(self.body, NotCountable):
            self.outcomes |= dict.fromkeys(self.wanted, self.body)
            return self.go_on()
        return [(self, model) for model in self.wanted]

    def add(self, model: str, outcome: Outcome) -> list[tuple["Trip", str]]:
        """Note a count; returns what is to be counted next, once the step has all of its own."""
        self.outcomes[model] = outcome
        complete = all(name in self.outcomes for name in self.wanted)
        return self.go_on() if complete else []


class RouteStream:
    """Runs trips and hands them out in their order."""

    def __init__(self, trips: Iterable[Trip]) -> None:
        self._trips = iter(trips)
        self._requests: deque[tuple[Trip, str]] = deque()
        self._asked: dict[int, tuple[Trip, str]] = {}
        self._arrived: dict[int, Trip] = {}
        self._under_way = 0
        self._news = anyio.Event()

    async def run(self, counter: CountsFed, lane: Lane) -> AsyncGenerator[Trip, None]:
        """Yield each trip once it has arrived."""
        position = 0
        payloads = self._payloads()
        items = counter.count_many(payloads, lane=lane, ordered=False)
        # The items first: while they come, their reader holds the payloads.
        async with aclosing(payloads), aclosing(items):
            async for item in items:
                trip, model = self._asked.pop(item.index)
                self._note(trip, trip.add(model, item.outcome))
                while position in self._arrived:
                    yield self._arrived.pop(position)
                    position += 1
        # Those that came to nothing are not followed by an item.
        for place in sorted(self._arrived):
            yield self._arrived[place]

    async def _payloads(self) -> AsyncGenerator[RawPayload, None]:
        number = 0
        while True:
            while self._requests:
                trip, model = self._asked[number] = self._requests.popleft()
                assert not isinstance(trip.body, NotCountable)  # noqa: S101 - it asks for nothing
                number += 1
                yield trip.body | {"model": model}
            if (trip_or_end := next(self._trips, None)) is not None:
                self._under_way += 1
                self._note(trip_or_end, trip_or_end.go_on())
            elif self._under_way:
                self._news = anyio.Event()
                await self._news.wait()
            else:
                return

    def _note(self, trip: Trip, requests: list[tuple[Trip, str]]) -> None:
        self._requests.extend(requests)
        if trip.found is not None:
            self._arrived[trip.place] = trip
            self._under_way -= 1
        self._news.set()
