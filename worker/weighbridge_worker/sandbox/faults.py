"""Which attempts go wrong, and how."""

from collections import deque
from collections.abc import Iterable, Mapping
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """Everything that an endpoint, or what stands before it, does to its clients."""

    RATE_LIMITED = "rate_limited"
    """A 429, although the bucket had a token."""
    RAMP_LIMITED = "ramp_limited"
    SPEND_LIMITED = "spend_limited"
    """A 429 without ``retry-after``: waiting does not help."""
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    DROPPED = "dropped"
    """The connection ends without an answer."""
    CUT_BODY = "cut_body"
    """A 200 whose connection ends within the body."""
    TRUNCATED = "truncated"
    """A whole 200 whose JSON is cut short."""
    HTML = "html"
    NULL_COUNT = "null_count"
    NEGATIVE_COUNT = "negative_count"
    STRING_COUNT = "string_count"
    EXPONENT_COUNT = "exponent_count"
    BOOLEAN_COUNT = "boolean_count"
    NO_COUNT = "no_count"
    LIST_ANSWER = "list_answer"
    SLOW_BODY = "slow_body"
    """A right 200, a byte at a time."""
    HANGING = "hanging"
    """No answer, until the client goes."""


class Faults:
    """Draws a fault, or none, for each attempt that has a good key and got past the bucket."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a schedule that repeats, not a secret
        self._next: deque[Fault | None] = deque()
        self._probabilities: dict[Fault, float] = {}

    def set_next(self, faults: Iterable[Fault | None]) -> None:
        """Say what the next attempts meet, in order; None is a healthy answer."""
        self._next = deque(faults)

    def set_probabilities(self, probabilities: Mapping[Fault, float]) -> None:
        """Say how probable each fault is, once the list is used up.

        Raises:
            ValueError: one is below 0, or the sum above 1.
        """
        if any(share < 0 for share in probabilities.values()):
            raise ValueError("a probability is 0 or more")
        if sum(probabilities.values()) > 1 + 1e-9:
            raise ValueError("the probabilities add up to more than 1")
        self._probabilities = dict(probabilities)

    def clear(self) -> None:
        """Make every attempt healthy again."""
        self.set_next(())
        self.set_probabilities({})

    def draw(self) -> Fault | None:
        """Return what the next attempt meets."""
        if self._next:
            return self._next.popleft()
        if not self._probabilities:
            return None
        point = self._random.random()
        for fault, share in self._probabilities.items():
            point -= share
            if point < 0:
                return fault
        return None

    def describe(self) -> dict[str, object]:
        """Return the schedule as ``PUT /_sandbox/faults`` takes it."""
        return {"next": list(self._next), "probabilities": dict(self._probabilities)}
