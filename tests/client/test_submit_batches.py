"""Submits of many tasks share round trips."""

from typing import Any

import anyio
import pytest
from support.sent_commands import sent_commands

from weighbridge import Client, Lane, QueueFull, QueueUnreachable
from weighbridge.digest import digest_of
from weighbridge.payload import check_payload
from weighbridge.records import Job
from weighbridge.settings import QueueSettings
from weighbridge.submit_batches import SubmitBatches
from weighbridge.submitter import Admission, Submitter

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


async def test_a_client_that_is_not_open_says_so(redis_url: str) -> None:
    wb = Client.connect(redis_url)
    with pytest.raises(RuntimeError, match="async with"):
        await wb.submit(payload(1))
    async with wb:
        pass
    with pytest.raises(RuntimeError, match="async with"):
        await wb.submit(payload(1))


async def test_a_close_tells_those_whose_jobs_may_not_be_submitted() -> None:
    class Standing(Submitter):
        def __init__(self) -> None:
            self.asked = anyio.Event()

        async def submit(self, *_: Any, **__: Any) -> list[Admission | QueueFull]:
            self.asked.set()
            await anyio.sleep_forever()
            return []

    standing = Standing()
    batches = SubmitBatches(standing)
    told = []

    async def submit(number: int) -> None:
        with pytest.raises(QueueUnreachable, match="closed before") as caught:
            await batches.submit(job(number), fresh=False)
        told.append(caught.value)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as callers, anyio.create_task_group() as tasks:
            tasks.start_soon(batches.run)
            await anyio.wait_all_tasks_blocked()
            callers.start_soon(submit, 1)
            await standing.asked.wait()
            callers.start_soon(submit, 2)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert len(told) == 2


def job(number: int) -> Job:
    """Make a job that differs from the others."""
    body = check_payload(payload(number))
    return Job(digest_of(body), body, Lane.BATCH, "tests", 10**9)
