"""Counting through the whole chain: client, server, worker, SDK and the stand-in's HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.pools import running_pool

from weighbridge import Client
from weighbridge_worker.counter import anthropic_counter
from weighbridge_worker.sandbox import Sandbox, SandboxSettings, sandbox
from weighbridge_worker.settings import WorkerSettings


@asynccontextmanager
async def sandbox_pool(url: str) -> AsyncIterator[tuple[Client, Sandbox]]:
    """Run a stand-in, a worker and a client while the block runs."""
    async with sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in:
        worker = WorkerSettings(base_url=stand_in.base_url, api_key="test")
        async with (
            anthropic_counter(worker) as counter,
            running_pool(url, counter),
            Client.connect(url) as wb,
        ):
            yield wb, stand_in
