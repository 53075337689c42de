"""Writes a worker's figures where the rest of the fleet's are, while they change."""

from contextlib import suppress

import anyio
from redis.exceptions import RedisError

from weighbridge.connection import RedisClient
from weighbridge.figures import WorkerFigures, encode_figures
from weighbridge.scripts import Scripts
from weighbridge_worker.executor import Draining
from weighbridge_worker.tally import Tally

EVERY_S = 2.0
"""Between two looks at the tally; one that finds nothing new sends nothing."""


class Reporter:
    """One worker's only writer of its figures."""

    def __init__(
        self, redis: RedisClient, scripts: Scripts, tally: Tally, draining: Draining, *, worker: str
    ) -> None:
        self._redis = redis
        self._scripts = scripts
        self._tally = tally
        self._draining = draining
        self._worker = worker
        self._written = WorkerFigures()

    async def run(self) -> None:
        """Write until the drain; what a server that is away misses is written later."""
        while not self._draining.is_set():
            with suppress(RedisError):
                await self._report()
            with anyio.move_on_after(EVERY_S):
                await self._draining.wait()

    async def _report(self) -> None:
        figures = self._tally.figures()
        if figures == self._written:
            return
        await self._scripts.note_figures(self._redis, self._worker, encode_figures(figures))
        self._written = figures
