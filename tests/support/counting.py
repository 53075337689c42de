"""A stand-in for a client in tests of decisions: counts by a function of the body, at once."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any

from weighbridge import Counted, Item, Lane, Outcome
from weighbridge.preparation import RawPayload


class Counting:
    """Counts by a function of the body, and notes every body."""

    def __init__(self, weigh: Callable[[Mapping[str, Any]], int | Outcome]) -> None:
        self.bodies: list[Mapping[str, Any]] = []
        self._weigh = weigh

    async def count_many(
        self, payloads: Iterable[RawPayload], *, lane: Lane, ordered: bool
    ) -> AsyncGenerator[Item, None]:
        """Count at once."""
        assert ordered
        for index, body in enumerate(payloads):
            assert isinstance(body, Mapping)
            self.bodies.append(body)
            weight = self._weigh(body)
            outcome = counted(weight) if isinstance(weight, int) else weight
            yield Item(index, "digest", outcome)


def counted(tokens: int) -> Counted:
    return Counted(
        digest="d", model="m", input_tokens=tokens, source="api", counted_at=1, cache="miss"
    )
