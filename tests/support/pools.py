"""A worker in the test's own process, behind a counter that needs no endpoint."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from opentelemetry.trace import Tracer

from weighbridge.connection import connect
from weighbridge.scope import make_scope
from weighbridge.settings import QueueSettings
from weighbridge_worker.calls import Tokens
from weighbridge_worker.logs import make_logger
from weighbridge_worker.pool import Pool, open_pool
from weighbridge_worker.settings import WorkerSettings

SCOPE = make_scope(base_url="test", anthropic_version="test", digest_key=None)


class Answers:
    """A counter that answers with a body's length, once the gate is open; it notes every call."""

    def __init__(self, *, error: Callable[[bytes], Exception | None] = lambda _: None) -> None:
        self.bodies: list[bytes] = []
        self.gate = anyio.Event()
        self.gate.set()
        self._error = error

    async def count(self, body: bytes, betas: tuple[str, ...]) -> Tokens:
        """Answer one call."""
        self.bodies.append(body)
        await self.gate.wait()
        if (error := self._error(body)) is not None:
            raise error
        return Tokens(len(body), "api")


@asynccontextmanager
async def running_pool(
    url: str,
    counter: Any,
    *,
    namespace: str = "weighbridge",
    scope: dict[str, str] | None = None,
    leaves_if_refused: bool = False,
    max_queue: int = 100_000,
    tracer: Tracer | None = None,
    **settings: Any,
) -> AsyncIterator[Pool]:
    """Run a worker while the block runs, and drain it."""
    queue = QueueSettings(redis_url=url, namespace=namespace, max_queue=max_queue)
    worker = WorkerSettings(**{"rpm": 30_000, "concurrency": 16, **settings})
    log = make_logger("error", "json")
    async with (
        open_pool(
            queue,
            worker,
            counter,
            scope or SCOPE,
            log,
            leaves_if_refused=leaves_if_refused,
            tracer=tracer,
        ) as pool,
        anyio.create_task_group() as tasks,
    ):
        await tasks.start(pool.run)
        yield pool
        pool.drain()


async def until(condition: Callable[[], Any], *, within_s: float = 10.0) -> None:
    """Wait for a condition; fail the test if it does not come about."""
    with anyio.fail_after(within_s):
        while True:
            met = condition()
            if hasattr(met, "__await__"):
                met = await met
            if met:
                return
            await anyio.sleep(0.01)


async def live_jobs(url: str) -> int:
    """Count the queue's live jobs."""
    async with connect(url) as redis:
        return int(await redis.zcard("{weighbridge}:1:deadlines"))
