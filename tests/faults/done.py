"""Hears every job's end, so that one that ends twice is found."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskStatus
from faults.stage import KEYS, Stage


@asynccontextmanager
async def settled_once(stage: Stage) -> AsyncIterator[Counter[str]]:
    """Count how often each digest was announced as settled while the block runs."""
    settled: Counter[str] = Counter()

    async def listen(*, task_status: TaskStatus[None]) -> None:
        async with stage.redis.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(KEYS.done)
            task_status.started()
            while True:
                message = await channel.get_message(timeout=5.0)
                if message is not None:
                    # A worker that starts tries the channel with an empty message.
                    settled.update(filter(None, message["data"].decode().split(",")))

    async with anyio.create_task_group() as tasks:
        await tasks.start(listen)
        yield settled
        tasks.cancel_scope.cancel()
