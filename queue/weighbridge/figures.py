"""What one worker has done since it started: counters that only grow, and how long things took.

Each worker writes its figures into its own hash, so that whoever looks at the pool can add them up.
Two looks at the same worker, one taken off the other, tell what went on between.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Literal

import msgspec

BOUNDS_S = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
    7200.0,
)  # fmt: skip
"""Upper bounds of the buckets of every histogram, in seconds; one more bucket has the rest.

They are part of the wire contract: figures of other bounds need a field of another name.
"""

CallOutcome = Literal["counted", "refused", "failed", "throttled", "key_refused"]
"""``refused``: the payload is at fault; ``failed``: in passing; ``throttled``: a 429 or a hold."""

InboxUse = Literal["hit", "joined", "miss", "refused"]
"""How an inbox entry was taken in; ``refused``: it made no sense, or cannot be counted."""

NO_COUNTS = (0,) * (len(BOUNDS_S) + 1)


class Histogram(msgspec.Struct, frozen=True, omit_defaults=True):
    """Durations by bucket.

    Args:
        counts: one a bucket of ``BOUNDS_S``, not added up, and one for what is longer.
        sum_s: of all durations, in seconds.
    """

    counts: tuple[int, ...] = NO_COUNTS
    sum_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse counts of other buckets.

        Raises:
            ValueError: there are not as many as buckets.
        """
        if len(self.counts) != len(NO_COUNTS):
            raise ValueError(f"a histogram has {len(NO_COUNTS)} buckets, not {len(self.counts)}")

    @property
    def count(self) -> int:
        """Durations in all."""
        return sum(self.counts)

    @property
    def mean_s(self) -> float | None:
        """Their mean; None if there are none."""
        return self.sum_s / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """Estimate the duration, in seconds, that this share of all does not exceed.

        Within a bucket they are taken to lie evenly, as Prometheus takes them; beyond the last
        bound its value is all that is known. None if there are none.
        """
        if not self.count:
            return None
        rank = share * self.count
        index = bisect_left(list(accumulate(self.counts)), rank)
        if index >= len(BOUNDS_S):
            return BOUNDS_S[-1]
        below = BOUNDS_S[index - 1] if index else 0.0
        into = (rank - sum(self.counts[:index])) / self.counts[index] if self.counts[index] else 0.0
        return below + (BOUNDS_S[index] - below) * into


class Durations:
    """Takes durations in; a histogram in the making."""

    def __init__(self) -> None:
        self._counts = list(NO_COUNTS)
        self._sum_s = 0.0

    def note(self, seconds: float) -> None:
        """Take one in."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self._sum_s += seconds

    def histogram(self) -> Histogram:
        """Return what was taken in so far."""
        return Histogram(tuple(self._counts), self._sum_s)


class WorkerFigures(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One worker's figures since its start, or the sum of several.

    Args:
        calls: made, by ``CallOutcome``.
        failed: jobs ended without a count, by the result's code.
        inbox: entries taken in, by ``InboxUse``.
        slots_missed: permits that came too late to be used.
        penalties: fleet-wide pauses that this worker's calls began.
        wait: from a job's submit to the start of the call that ended it.
        call: one attempt at the endpoint, whatever its outcome.
        total: from a job's submit until its result was written.
    """

    calls: Mapping[str, int] = {}
    failed: Mapping[str, int] = {}
    inbox: Mapping[str, int] = {}
    slots_missed: int = 0
    penalties: int = 0
    wait: Histogram = Histogram()
    call: Histogram = Histogram()
    total: Histogram = Histogram()

    @property
    def counted(self) -> int:
        """Calls that gave a count."""
        return self.calls.get("counted", 0)

    @property
    def rate_limited(self) -> int:
        """Calls that the endpoint answered with a 429 or a hold."""
        return self.calls.get("throttled", 0)

    @property
    def attempts(self) -> int:
        """Calls in all."""
        return sum(self.calls.values())

    def since(self, before: "WorkerFigures") -> "WorkerFigures":
        """Take an earlier look at the same workers off; what has shrunk meanwhile counts as none.

        A worker that went took its figures with it, so that a sum over a fleet may shrink.
        """
        return WorkerFigures(
            calls=_less(self.calls, before.calls),
            failed=_less(self.failed, before.failed),
            inbox=_less(self.inbox, before.inbox),
            slots_missed=max(0, self.slots_missed - before.slots_missed),
            penalties=max(0, self.penalties - before.penalties),
            wait=_shorter(self.wait, before.wait),
            call=_shorter(self.call, before.call),
            total=_shorter(self.total, before.total),
        )


def summed(figures: Iterable[WorkerFigures]) -> WorkerFigures:
    """Add the figures of several workers up."""
    each = list(figures)
    return WorkerFigures(
        calls=_sum(one.calls for one in each),
        failed=_sum(one.failed for one in each),
        inbox=_sum(one.inbox for one in each),
        slots_missed=sum(one.slots_missed for one in each),
        penalties=sum(one.penalties for one in each),
        wait=_joined([one.wait for one in each]),
        call=_joined([one.call for one in each]),
        total=_joined([one.total for one in each]),
    )


def encode_figures(figures: WorkerFigures) -> bytes:
    """Write figures as the JSON that stands in a worker's hash."""
    return msgspec.json.encode(figures)


def read_figures(text: bytes | None) -> WorkerFigures:
    """Read figures; none where there are none, or a text that is none of ours.

    Fields of a newer worker are passed over.
    """
    try:
        return NO_FIGURES if text is None else _figures.decode(text)
    except msgspec.DecodeError:
        return NO_FIGURES


NO_FIGURES = WorkerFigures()

_figures = msgspec.json.Decoder(WorkerFigures)


def _sum(each: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in each:
        total.update(one)
    return dict(total)


def _less(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    grown = {word: number - before.get(word, 0) for word, number in after.items()}
    return {word: number for word, number in grown.items() if number > 0}


def _joined(each: list[Histogram]) -> Histogram:
    counts = tuple(
        sum(column) for column in zip(NO_COUNTS, *(one.counts for one in each), strict=True)
    )
    return Histogram(counts, sum(one.sum_s for one in each))


def _shorter(after: Histogram, before: Histogram) -> Histogram:
    pairs = zip(after.counts, before.counts, strict=True)
    counts = tuple(max(0, now - then) for now, then in pairs)
    return Histogram(counts, max(0.0, after.sum_s - before.sum_s))
