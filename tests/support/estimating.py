"""A worker of this process that asks a stand-in, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.pools import running_pool

from weighbridge import Client
from weighbridge_worker.counter import anthropic_counter
from weighbridge_worker.sandbox import Sandbox, SandboxSettings, sandbox
from weighbridge_worker.settings import WorkerSettings


@asynccontextmanager
async def estimating(url: str) -> AsyncIterator[tuple[Client, Sandbox]]:
    """Count by estimates, as fast as they come, while the block runs."""
    async with sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in:
        worker = WorkerSettings(base_url=stand_in.base_url, api_key="test")
        async with (
            anthropic_counter(worker) as counter,
            running_pool(url, counter),
            Client.connect(url) as wb,
        ):
            yield wb, stand_in
