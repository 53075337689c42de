"""What a hand deletes, and what workers of an older version leave, is put right by idle visits."""

import pytest
from support.queue_under_test import QueueUnderTest

from weighbridge.records import Lane

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("lane", list(Lane))
async def test_jobs_of_a_lane_that_was_deleted_are_found_again(
    queue: QueueUnderTest, lane: Lane
) -> None:
    names = [f"job-{number}" for number in range(100)]
    await queue.submit(*names, lane=lane)
    await queue.redis.delete(queue.keys.ready(lane))
    order: list[str] = []
    for _ in range(10):
        order += await queue.work_off()
    assert sorted(order) == sorted(names)
    assert await queue.depth() == 0


@pytest.mark.parametrize("place", ["leased", "later"])
async def test_jobs_that_were_in_hand_or_waited_for_a_retry_are_found_again(
    queue: QueueUnderTest, place: str
) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    if place == "later":
        await queue.jobs.retry(lease, 30.0)
    await queue.redis.delete(queue.keys.prefix + place)
    await queue.visit()
    assert await queue.ready() == ["a"]


async def test_jobs_that_stand_where_they_should_stay_there(queue: QueueUnderTest) -> None:
    await queue.submit("leased", "later")
    leases = await queue.take_many(2)
    await queue.jobs.retry(next(one for one in leases if queue.names([one]) == ["later"]), 30.0)
    for _ in range(3):
        assert (await queue.visit()).leases == ()
    assert [await queue.places(name) for name in ("leased", "later")] == [["leased"], ["later"]]


async def test_an_empty_queue_has_no_bytes(queue: QueueUnderTest) -> None:
    """A worker of a version before the bound by bytes settles a job and leaves its bytes."""
    await queue.submit("a")
    await queue.work_off()
    await queue.redis.hset(queue.keys.bytes, mapping={"0" * 64: 5, "sum": 5})
    await queue.visit()
    assert await queue.redis.exists(queue.keys.bytes) == 0
