"""Looks at a pool from time to time, and remembers the last minutes."""

from collections import Counter
from collections.abc import Callable, Mapping

import anyio

from weighbridge.admin import Admin, PoolState
from weighbridge.errors import QueueUnreachable
from weighbridge.figures import WorkerFigures
from weighbridge.records import CacheUse
from weighbridge_worker.watch.history import Columns, Fleet, History, Point
from weighbridge_worker.watch.snapshot import Snapshot, describe_pool
from weighbridge_worker.watch.verdict import Trend, judge, permitted_rpm, unreachable

LOOK_S = 4.0
"""A server that has not answered for so long does not."""

USES: tuple[CacheUse, ...] = ("hit", "joined", "miss")


def no_answers() -> Mapping[CacheUse, int]:
    """Say that nobody answers requests here: only the workers' inbox does."""
    return {}


class Watcher:
    """One namespace, watched by one task.

    Args:
        answers: how this process has answered requests so far, if it does.
        max_queue: live jobs beyond which submits are refused; 0 if unknown.
    """

    def __init__(
        self,
        admin: Admin,
        namespace: str,
        *,
        answers: Callable[[], Mapping[CacheUse, int]] = no_answers,
        max_queue: int = 0,
    ) -> None:
        self._admin = admin
        self._namespace = namespace
        self._answers = answers
        self._max_queue = max_queue
        self._fleet = Fleet()
        self._history = History()
        self._number = 0

    async def look(self) -> Snapshot:
        """Look once; a server that cannot be reached is a finding, not an error."""
        self._number += 1
        try:
            with anyio.fail_after(LOOK_S):
                state = await self._admin.inspect(count_cached=False)
        except TimeoutError:
            return self.blind(f"the queue's server has not answered for {LOOK_S:.0f} s")
        except QueueUnreachable as error:
            return self.blind(str(error))
        return self._seen(state)

    def columns(self) -> Columns:
        """Return the last minutes for charts."""
        return self._history.columns()

    def blind(self, why: str) -> Snapshot:
        """Make the snapshot of a pool of which nothing can be seen."""
        now = anyio.current_time()
        return Snapshot(self._number, now, self._namespace, unreachable(why), None)

    def _seen(self, state: PoolState) -> Snapshot:
        now = anyio.current_time()
        history = self._history
        history.add(self._point(state, now))
        return Snapshot(
            number=self._number,
            at_s=now,
            namespace=self._namespace,
            verdict=judge(state, Trend(history.used_share(), self._max_queue)),
            pool=describe_pool(state, history),
        )

    def _point(self, state: PoolState, now: float) -> Point:
        figures = self._fleet.add(state.workers)
        return Point(
            at_s=now,
            granted=state.limit.granted,
            permitted=permitted_rpm(state.limit),
            limit=state.limit.rpm,
            interactive=state.interactive,
            batch=state.batch,
            cache=self._answered(figures),
            figures=figures,
        )

    def _answered(self, figures: WorkerFigures) -> dict[CacheUse, int]:
        answers = Counter(self._answers())
        return {use: answers[use] + figures.inbox.get(use, 0) for use in USES}
