"""What a job may cost in commands, as clients and workers send them."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from support.pools import Answers, live_jobs, running_pool, until
from support.sent_commands import sent_commands

from weighbridge import Client

pytestmark = pytest.mark.asyncio
JOBS = 600
SLACK = 40
"""Commands of a client or worker that are nobody's job: its start, polls, signs of life."""


def payloads() -> list[dict[str, Any]]:
    """Make payloads that differ."""
    return [
        {"model": "claude-test", "messages": [{"role": "user", "content": f"number {number}"}]}
        for number in range(JOBS)
    ]


async def submit_all(url: str) -> None:
    """Submit one after the other."""
    async with Client.connect(url) as wb:
        for payload in payloads():
            await wb.submit(payload)


async def drain(url: str) -> None:
    """Let a worker count what is queued."""

    async def empty() -> bool:
        return await live_jobs(url) == 0

    async with running_pool(url, Answers(), rpm=30_000, concurrency=64):
        await until(empty, within_s=60)


async def count_all(url: str) -> AsyncIterator[str]:
    """Count; yields how each result was come by."""
    async with Client.connect(url) as wb:
        async for item in wb.count_many(payloads()):
            yield getattr(item.outcome, "cache", "") or ""


async def test_the_budget_of_commands_holds(redis_url: str) -> None:
    with sent_commands(redis_url) as submits:
        await submit_all(redis_url)
    assert submits.total() <= JOBS + SLACK, submits
    # At a rate whose slots a busy machine keeps: a missed one would cost another visit.
    with sent_commands(redis_url) as drained:
        with anyio.fail_after(120):
            await drain(redis_url)
    polls = drained["ZCARD"]  # the test's own
    assert drained.total() - polls <= 4 * JOBS + SLACK, drained
    with sent_commands(redis_url) as cached:
        uses = [use async for use in count_all(redis_url)]
    assert uses == ["hit"] * JOBS
    assert cached.total() <= JOBS, cached


async def test_a_waiter_reads_no_result_that_it_is_told(redis_url: str) -> None:
    counts = 2 * SLACK
    with sent_commands(redis_url) as sent:
        async with (
            running_pool(redis_url, Answers(), rpm=30_000, concurrency=64),
            Client.connect(redis_url) as wb,
        ):
            for payload in payloads()[:counts]:
                await wb.count(payload)
    assert sent["MGET"] <= SLACK, sent
