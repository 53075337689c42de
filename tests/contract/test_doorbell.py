"""The doorbell wakes idle workers, and never rings for more than there are."""

import anyio
import pytest
from support.queue_under_test import QueueUnderTest

pytestmark = pytest.mark.asyncio


async def test_a_new_job_rings(queue: QueueUnderTest) -> None:
    await queue.take()
    await queue.submit("a")
    assert await rings(queue) == 1


async def test_many_jobs_ring_no_more_than_there_are_workers(queue: QueueUnderTest) -> None:
    await queue.take(worker="one")
    await queue.take(worker="two")
    await queue.submit(*(f"job-{number}" for number in range(50)))
    await queue.submit(*(f"more-{number}" for number in range(50)))
    assert await rings(queue) == 2


async def test_without_workers_nothing_rings(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    assert await rings(queue) == 0


async def test_a_worker_that_left_is_not_rung_for(queue: QueueUnderTest) -> None:
    await queue.take(worker="one")
    await queue.jobs.leave("one")
    await queue.submit("a")
    assert await rings(queue) == 0


async def test_a_worker_that_fell_silent_is_forgotten_after_half_a_minute(
    queue: QueueUnderTest,
) -> None:
    await queue.take(worker="silent")
    await queue.pass_time(31)
    await queue.take(worker="alive")
    assert await queue.redis.zrange(queue.keys.workers, 0, -1) == [b"alive"]


async def test_a_visit_takes_down_the_rings_for_workers_that_left(queue: QueueUnderTest) -> None:
    for worker in ("one", "two", "three"):
        await queue.take(worker=worker)
    await queue.submit("a", "b", "c")
    assert await rings(queue) == 3
    await queue.jobs.leave("two")
    await queue.jobs.leave("three")
    await queue.take(worker="one")
    assert await rings(queue) == 1


async def test_a_visit_takes_down_the_rings_for_workers_that_died(queue: QueueUnderTest) -> None:
    for worker in ("one", "two", "three"):
        await queue.take(worker=worker)
    await queue.submit("a", "b", "c")
    await queue.pass_time(31)
    await queue.take(worker="one")
    assert await rings(queue) == 1


async def test_a_duplicate_does_not_ring(queue: QueueUnderTest) -> None:
    await queue.take()
    await queue.submit("a")
    await queue.redis.delete(queue.keys.doorbell)
    await queue.submit("a")
    assert await rings(queue) == 0


async def test_a_released_job_rings(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.jobs.release([await queue.take_one()])
    assert await rings(queue) == 1


async def test_a_visit_that_leaves_jobs_wakes_another_worker(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    await queue.take()
    assert await rings(queue) == 1


async def test_a_visit_that_leaves_nothing_wakes_nobody(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take()
    assert await rings(queue) == 0


async def test_a_retry_wakes_a_worker_that_sleeps_past_its_due_time(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    await queue.visit(worker="idle")
    await queue.jobs.retry(lease, 0.1)
    assert await rings(queue) == 1


async def test_rings_that_nobody_hears_go_by_themselves(queue: QueueUnderTest) -> None:
    await queue.take()
    await queue.submit("a")
    assert 0 < await queue.redis.pttl(queue.keys.doorbell) <= 60_000


async def test_an_idle_worker_wakes_at_the_ring(queue: QueueUnderTest) -> None:
    await queue.take()
    await queue.submit("a")
    with anyio.fail_after(5):
        await queue.jobs.wait_for_doorbell(10)
    assert await rings(queue) == 0


async def rings(queue: QueueUnderTest) -> int:
    """Count the entries that wait for a worker."""
    return int(await queue.redis.llen(queue.keys.doorbell))
