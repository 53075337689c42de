"""A worker process whose counter answers at once: python -m benchmarks.instant URL CONCURRENCY."""

import signal
import sys

import anyio
from support.pools import SCOPE

from weighbridge.settings import QueueSettings
from weighbridge_worker.calls import Counter, Tokens
from weighbridge_worker.logs import make_logger
from weighbridge_worker.pool import open_pool
from weighbridge_worker.settings import MAX_RPM, WorkerSettings


class Instant:
    """Answers every call at once."""

    async def count(self, body: bytes, betas: tuple[str, ...]) -> Tokens:
        """Answer."""
        return Tokens(len(body), "api")


async def work(url: str, concurrency: int, counter: Counter, rpm: int = MAX_RPM) -> None:
    """Work until SIGTERM."""
    worker = WorkerSettings(rpm=rpm, concurrency=concurrency)
    log = make_logger("error", "json")
    async with (
        open_pool(QueueSettings(redis_url=url), worker, counter, SCOPE, log) as pool,
        anyio.create_task_group() as tasks,
    ):
        await tasks.start(pool.run)
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                pool.drain()
                break


if __name__ == "__main__":
    options = {"use_uvloop": True}
    anyio.run(work, sys.argv[1], int(sys.argv[2]), Instant(), backend_options=options)
