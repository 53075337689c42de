"""What all decisions have in common: how they came by their counts, and how they are written."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from weighbridge.count_stream import Item
from weighbridge.preparation import RawPayload
from weighbridge.records import Counted, Lane, Outcome


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts that a decision rests on.

    Args:
        counts_used: outcomes looked at.
        api_calls: of them, counted for this decision by a call of their own.
        cache_hits: of them, answered from the cache; the rest joined a job or could not be
            counted.
        estimated: whether any of them is an estimate, which makes the decision one.
    """

    counts_used: int = 0
    api_calls: int = 0
    cache_hits: int = 0
    estimated: bool = False

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.counts_used + other.counts_used,
            self.api_calls + other.api_calls,
            self.cache_hits + other.cache_hits,
            self.estimated or other.estimated,
        )


def tally(outcomes: Iterable[Outcome]) -> Tally:
    """Sum up how outcomes were come by."""
    used = calls = hits = 0
    estimated = False
    for outcome in outcomes:
        used += 1
        if isinstance(outcome, Counted):
            calls += outcome.cache == "miss"
            hits += outcome.cache == "hit"
            estimated = estimated or outcome.source == "estimate"
    return Tally(used, calls, hits, estimated)


def to_json(decision: Any) -> bytes:
    """Write a decision as JSON; dollars become strings, so that no digit is lost."""
    return msgspec.json.encode(decision)


class Counts(Protocol):
    """What a use needs of a client: outcomes in the order of the payloads."""

    def count_many(
        self, payloads: Iterable[RawPayload], *, lane: Lane, ordered: bool
    ) -> AsyncGenerator[Item, None]:
        """Yield an item a payload."""
        ...


async def count_together(
    counts: Counts, payloads: Iterable[RawPayload], lane: Lane = Lane.INTERACTIVE
) -> list[Outcome]:
    """Count payloads that one decision needs, all on their way at once.

    Raises:
        QueueUnreachable: the server does not answer.
    """
    async with aclosing(counts.count_many(payloads, lane=lane, ordered=True)) as items:
        return [item.outcome async for item in items]
