"""Submits of many tasks share round trips."""

import anyio
import pytest
from support.sent_commands import sent_commands

from weighbridge import Client, QueueFull
from weighbridge.settings import QueueSettings

pytestmark = pytest.mark.asyncio
JOBS = 100


def payload(number: int) -> dict[str, object]:
    """Make a payload that differs from the others."""
    return {"model": "claude-test", "messages": [{"role": "user", "content": f"job {number}"}]}


async def test_submits_of_one_moment_share_their_round_trips(redis_url: str) -> None:
    with sent_commands(redis_url) as sent:
        async with Client.connect(redis_url) as wb, anyio.create_task_group() as tasks:
            for number in range(JOBS):
                tasks.start_soon(wb.submit, payload(number))
    assert sent["SET"] == 0
    assert sent["MGET"] <= 2
    assert sent["EVALSHA"] + sent["EVAL"] <= 3


async def test_each_caller_hears_of_its_own_job(redis_url: str) -> None:
    settings = QueueSettings(redis_url=redis_url, max_queue=3)
    admitted, refused = [], []

    async def submit(wb: Client, number: int) -> None:
        try:
            admitted.append((await wb.submit(payload(number))).digest)
        except QueueFull as error:
            refused.append(error.depth)

    async with Client.connect(settings=settings) as wb, anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(submit, wb, number)
    assert len(set(admitted)) == 3
    assert refused == [3, 3]
