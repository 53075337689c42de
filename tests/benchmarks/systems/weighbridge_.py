"""Ours: a client, and a whole worker whose counter answers at once."""

import os
from collections.abc import Sequence
from typing import Any, Self

import anyio
from benchmarks.instant import work
from benchmarks.systems.system import URL, tick
from redis.asyncio import Redis

from weighbridge import Client, Ticket
from weighbridge.settings import QueueSettings
from weighbridge_worker.calls import Tokens

POLL = DEFAULT_POLL = 0.0
BULK = "submit_many"


class Producer:
    """Submits and waits as any producer does."""

    def __init__(self, poll: float) -> None:
        self._client = Client.connect(settings=QueueSettings(redis_url=URL, max_queue=10_000_000))
        self._redis = Redis.from_url(URL)

    async def __aenter__(self) -> Self:
        """Connect."""
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Leave."""
        await self._client.__aexit__(None, None, None)
        await self._redis.aclose()

    async def one(self, payload: dict[str, Any]) -> Ticket:
        """Submit one."""
        return await self._client.submit(payload)

    async def bulk(self, payloads: Sequence[dict[str, Any]]) -> list[Any]:
        """Submit many."""
        return await self._client.submit_many(payloads)

    async def wait(self, ticket: Ticket) -> Any:
        """Wait for a count."""
        return await self._client.result(ticket)

    async def stored(self, handles: list[Ticket]) -> int:
        """A job leaves the deadlines in the step that ends it, after its result was written."""
        return len(handles) - int(await self._redis.zcard("{weighbridge}:1:deadlines"))

    async def count(self, payload: dict[str, Any]) -> Any:
        """Submit and wait in one call."""
        return await self._client.count(payload)


class Ticking:
    """Answers every call at once, and counts it."""

    async def count(self, body: bytes, betas: tuple[str, ...]) -> Tokens:
        """Answer."""
        tick()
        return Tokens(len(body), "api")


def run_worker(concurrency: int, poll: float) -> None:
    """Work until SIGTERM; BENCH_RPM below the default where no slot should lie ahead."""
    rpm = int(os.environ.get("BENCH_RPM", "1000000"))
    anyio.run(work, URL, concurrency, Ticking(), rpm, backend_options={"use_uvloop": True})
