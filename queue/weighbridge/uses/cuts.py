"""Which cut to weigh next: the search for the longest history within a budget, free of any I/O.

A *cut* is a number of turns dropped, oldest first; 0 is the whole history. A search is a generator:
it yields the cut that it wants weighed, is sent its tokens (infinity if the API takes no such
body), and returns the cut that it settles on. It may ask for the same cut twice.

Both searches give the same answer, by one rule:

1. The conversation's previous cut stays if it is within the limit and the next longer history is
   over the target.
2. Otherwise the whole history stays if it is within the limit.
3. Otherwise the smallest cut within the target is taken; if none is, the largest cut allowed,
   which fits if it is within the limit.

A dropped turn does not bring tokens back, so a longer history does not weigh less. Should an
endpoint see that otherwise, the answer still is within its budget, for it was weighed itself.
"""

from bisect import bisect_left
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import isfinite
from operator import neg
from typing import Literal

Search = Generator[int, float, int]
Strategy = Literal["bracket", "linear"]

Point = tuple[float, float]
"""A weight and its tokens."""

PATIENCE = 5
"""Weighings after which weights are not believed any more: from there on the rest is halved."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be found.

    Args:
        limit: the most tokens that fit.
        target: the most tokens that stay once something has to go; at most the limit.
        weights: by cut, about how much stays of the history, in any unit; falling.
        fixed: what no cut takes away, in the same unit.
        previous: the conversation's last cut, 0 if there is none.
    """

    limit: int
    target: int
    weights: Sequence[int]
    fixed: int = 0
    previous: int = 0

    @property
    def last(self) -> int:
        """The largest cut allowed."""
        return len(self.weights) - 1

    @property
    def has_previous(self) -> bool:
        """Whether the previous cut can be made in this history."""
        return 0 < self.previous <= self.last


def search(task: Task, strategy: Strategy = "bracket") -> Search:
    """Start a search."""
    return linear(task) if strategy == "linear" else bracket(task)


def linear(task: Task) -> Search:
    """Drop one turn at a time and weigh again: slow and plain, the other's oracle."""
    if task.has_previous:
        previous, longer = (yield task.previous), (yield task.previous - 1)
        if previous <= task.limit and longer > task.target:
            return task.previous
    if (yield 0) <= task.limit:
        return 0
    for cut in range(1, task.last + 1):
        if (yield cut) <= task.target:
            return cut
    return task.last


def bracket(task: Task) -> Search:
    """Guess by weight, and close in from both sides on the smallest cut within the target."""
    seen = _Bracket(task)
    if task.has_previous:
        seen.add(task.previous, (yield task.previous))
        if seen.fits(task.previous):
            longer = yield task.previous - 1
            if longer > task.target:
                return task.previous
            seen.add(task.previous - 1, longer)
    if seen.over < 0:
        seen.add(0, (yield 0))
        if seen.fits(0):
            return 0
    while (guess := seen.guess()) is not None:
        seen.add(guess, (yield guess))
    if seen.under <= task.last:
        return seen.under
    # Nothing is within the target. To show that nothing else would do, weigh the next longer
    # history if this one fits, and the whole one if none does.
    yield max(0, task.last - 1) if seen.fits(task.last) else 0
    return task.last


class _Bracket:
    """What was weighed: cuts up to ``over`` are over the target, cuts from ``under`` within it."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._tokens: dict[int, float] = {}
        self.over = -1
        self.under = task.last + 1

    def add(self, cut: int, tokens: float) -> None:
        self._tokens[cut] = tokens
        if tokens <= self._task.target:
            self.under = min(self.under, cut)
        else:
            self.over = max(self.over, cut)

    def fits(self, cut: int) -> bool:
        return self._tokens[cut] <= self._task.limit

    def guess(self) -> int | None:
        """Name the next cut to weigh; None once the two sides meet."""
        first, last = self.over + 1, self.under - 1
        if first > last:
            return None
        if len(self._tokens) > PATIENCE:
            return (first + last) // 2
        cut = bisect_left(self._task.weights, -self._weight_at_target(), key=neg)
        return max(first, min(cut, last))

    def _weight_at_target(self) -> float:
        """Read the weight off the straight line through two points."""
        (weight, tokens), (other_weight, other_tokens) = self._line()
        if not isfinite(tokens) or not isfinite(other_tokens) or tokens <= other_tokens:
            return (weight + other_weight) / 2
        per_token = (weight - other_weight) / (tokens - other_tokens)
        return other_weight + (self._task.target - other_tokens) * per_token

    def _line(self) -> tuple[Point, Point]:
        """The points on either side; with one side unseen, the lightest ones of the other."""
        if self.under <= self._task.last:
            return self._point(self.over), self._point(self.under)
        *heavier, lightest = sorted(self._tokens)
        if heavier:
            return self._point(heavier[-1]), self._point(lightest)
        return self._point(lightest), (-self._task.fixed, 0)

    def _point(self, cut: int) -> Point:
        return self._task.weights[cut], self._tokens[cut]
