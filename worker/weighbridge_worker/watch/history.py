"""The last minutes of a pool, a point a look, and what they say together."""

from collections import deque
from dataclasses import dataclass

import msgspec

from weighbridge.admin import WorkerState
from weighbridge.figures import WorkerFigures, summed
from weighbridge.records import CacheUse

KEPT_S = 600.0
"""How far back the charts reach."""

SMOOTH_S = 10.0
"""A drawn rate is that of so many seconds: below it a low rate would jump."""

STEADY_S = 30.0
"""Work that waited at every look for so long could have been done."""

BACKLOG_S = 10.0
"""Less work than that of so many seconds comes and goes as producers bring it."""


@dataclass(frozen=True, slots=True)
class Point:
    """One look.

    Args:
        at_s: on the watcher's clock.
        granted: permits ever.
        permitted: calls a minute that the bucket let through; limit: the full rate.
        interactive, batch: jobs that were ready.
        cache: answers by use, since the watcher began.
        figures: of all workers, since the watcher began.
    """

    at_s: float
    granted: int
    permitted: float
    limit: int
    interactive: int
    batch: int
    cache: dict[CacheUse, int]
    figures: WorkerFigures


class Columns(msgspec.Struct, frozen=True):
    """The charts' data, a column a series, oldest first; None where nothing is known."""

    at_s: tuple[float, ...]
    used: tuple[float | None, ...]
    permitted: tuple[float | None, ...]
    limit: tuple[int | None, ...]
    interactive: tuple[int, ...]
    batch: tuple[int, ...]


class Fleet:
    """Adds up what workers did since the first look; one that goes does not take its share along.

    A worker's id is drawn anew at each start, so an id's figures only grow.
    """

    def __init__(self) -> None:
        self._known: dict[str, WorkerFigures] | None = None
        self._total = WorkerFigures()

    def add(self, workers: tuple[WorkerState, ...]) -> WorkerFigures:
        """Take in a look; returns the sum so far."""
        seen = {worker.worker: worker.figures for worker in workers}
        if self._known is not None:  # what was done before the first look is not ours to tell
            grown = [
                now.since(self._known.get(worker, WorkerFigures())) for worker, now in seen.items()
            ]
            self._total = summed([self._total, *grown])
        self._known = (self._known or {}) | seen
        return self._total


class History:
    """Looks of the last ten minutes."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque()
        self._used: deque[float | None] = deque()

    def add(self, point: Point) -> None:
        """Append a look, and forget what is too old for the charts."""
        self._points.append(point)
        self._used.append(self.used_rpm(SMOOTH_S))
        while point.at_s - self._points[0].at_s > KEPT_S:
            self._points.popleft()
            self._used.popleft()

    def before(self, span_s: float) -> Point:
        """Return the latest look that is at least so old, else the oldest."""
        newest = self._points[-1].at_s
        for point in reversed(self._points):
            if newest - point.at_s >= span_s:
                return point
        return self._points[0]

    def used_rpm(self, span_s: float) -> float | None:
        """Permits a minute over a span; None before there were two looks."""
        then, now = self.before(span_s), self._points[-1]
        passed_s = now.at_s - then.at_s
        return (now.granted - then.granted) / passed_s * 60 if passed_s > 0 else None

    def used_share(self) -> float | None:
        """Share of what was permitted over half a minute; None unless much waited all the time."""
        then, now = self.before(STEADY_S), self._points[-1]
        if now.at_s - then.at_s < STEADY_S:
            return None
        lately = [point for point in self._points if point.at_s >= then.at_s]
        if not all(_is_backlogged(point) for point in lately):
            return None
        permitted = min(point.permitted for point in lately)
        return (self.used_rpm(STEADY_S) or 0.0) / permitted

    def recent(self, span_s: float) -> WorkerFigures:
        """What the workers did in a span."""
        return self._points[-1].figures.since(self.before(span_s).figures)

    def recent_cache(self, span_s: float) -> dict[CacheUse, int]:
        """How requests were answered in a span."""
        then, now = self.before(span_s).cache, self._points[-1].cache
        return {use: max(0, number - then.get(use, 0)) for use, number in now.items()}

    def columns(self) -> Columns:
        """Return all there is to draw."""
        points = self._points
        return Columns(
            at_s=tuple(round(point.at_s, 2) for point in points),
            used=tuple(None if used is None else round(used, 1) for used in self._used),
            permitted=tuple(round(point.permitted, 1) if point.limit else None for point in points),
            limit=tuple(point.limit or None for point in points),
            interactive=tuple(point.interactive for point in points),
            batch=tuple(point.batch for point in points),
        )


def _is_backlogged(point: Point) -> bool:
    ready = point.interactive + point.batch
    return point.permitted > 0 and ready >= point.permitted / 60 * BACKLOG_S
