"""Permits for calls outside the queue: of the same schedule, fail closed, one call each."""

import anyio
import pytest
from redis.asyncio import Redis
from support.pools import Answers, running_pool, until

from weighbridge import Client, QueueUnreachable
from weighbridge.bucket import Bucket

pytestmark = pytest.mark.asyncio


async def test_a_permit_is_granted_for_each_call(redis_url: str) -> None:
    async with Bucket.connect(redis_url, rpm=6000) as bucket:
        for _ in range(5):
            async with bucket.permit():
                pass
        assert (await bucket.inspect()).granted >= 5


async def test_twenty_callers_of_one_process_get_slots_an_interval_apart(redis_url: str) -> None:
    times: list[float] = []
    async with Bucket.connect(redis_url, rpm=3000) as bucket:

        async def call() -> None:
            async with bucket.permit():
                times.append(anyio.current_time())

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(call)
        state = await bucket.inspect()
    # Twenty calls need nineteen intervals; each may be late by the grace, none may be early.
    assert times[-1] - times[0] >= 19 * 0.02 - 0.1
    assert state.granted >= 20, "a slot that was missed is drawn again"


async def test_permits_and_workers_share_one_schedule(redis_url: str) -> None:
    answers = Answers()
    async with (
        running_pool(redis_url, answers, rpm=1200),
        Bucket.connect(redis_url, rpm=1200) as bucket,
        Client.connect(redis_url) as wb,
    ):
        drawn = 0
        started = anyio.current_time()

        async def draw() -> None:
            nonlocal drawn
            while drawn < 10:
                async with bucket.permit():
                    drawn += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(draw)
            for number in range(10):
                message = {"role": "user", "content": str(number)}
                await wb.submit({"model": "m", "messages": [message]})
            await until(lambda: len(answers.bodies) == 10)
        took_s = anyio.current_time() - started
    assert drawn == 10
    # Twenty calls at twenty a second; the first slot is now, the last may be used a horizon early
    # by nobody, so less than 0.9 s would mean two schedules.
    assert took_s >= 0.85


async def test_without_a_server_there_is_no_permit() -> None:
    with pytest.raises(QueueUnreachable):
        await _call_once("unix:///nowhere/at/all.sock")


async def _call_once(url: str) -> None:
    async with Bucket.connect(url, rpm=60) as bucket, bucket.permit():
        pytest.fail("a call without a permit")


async def test_a_drawer_is_no_worker(redis_url: str) -> None:
    async with Bucket.connect(redis_url, rpm=6000) as bucket, Redis.from_url(redis_url) as redis:
        async with bucket.permit():
            pass
        names = [str(name) for name in await redis.zrange("{weighbridge}:1:workers", 0, -1)]
        assert [name.startswith("b'permits:") for name in names] == [True]
        assert await redis.keys("{weighbridge}:1:worker:*") == []
