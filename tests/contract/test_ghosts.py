"""Ghosts: entries whose job or payload was deleted by hand end quietly or by a verdict."""

import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest

from weighbridge.records import Lane

pytestmark = pytest.mark.asyncio


async def test_a_ready_entry_without_its_job_is_never_handed_out(queue: QueueUnderTest) -> None:
    await queue.submit("ghost", "a")
    await queue.delete_job("ghost")
    assert queue.names(await queue.take(2)) == ["a"]
    await forget(queue, "ghost")


async def test_a_ghost_is_not_revived(queue: QueueUnderTest) -> None:
    await queue.submit("ghost")
    await queue.delete_job("ghost")
    await queue.take()
    assert not await queue.redis.exists(queue.keys.job(queue.digest("ghost")))
    assert await queue.places("ghost") == []
    await forget(queue, "ghost")


async def test_a_ghost_costs_no_permit(queue: QueueUnderTest) -> None:
    await queue.submit("ghost")
    await queue.delete_job("ghost")
    await queue.take()
    assert await queue.permits() == 0
    await forget(queue, "ghost")


async def test_an_ended_lease_without_its_job_vanishes(queue: QueueUnderTest) -> None:
    await queue.submit("ghost")
    await queue.take()
    await queue.delete_job("ghost")
    await queue.end_leases()
    await queue.take()
    assert await queue.places("ghost") == []
    await forget(queue, "ghost")


async def test_a_due_retry_without_its_job_vanishes(queue: QueueUnderTest) -> None:
    await queue.submit("ghost")
    await queue.jobs.retry(await queue.take_one(), 0)
    await queue.delete_job("ghost")
    await queue.take()
    assert await queue.places("ghost") == []
    await forget(queue, "ghost")


async def test_a_deadline_without_its_job_vanishes(queue: QueueUnderTest) -> None:
    await queue.submit("ghost", deadline_s=1)
    await queue.delete_job("ghost")
    await queue.pass_time(2)
    await queue.take()
    assert await queue.depth() == 0
    await forget(queue, "ghost")


async def test_a_ghost_that_take_met_is_forgotten_whole(queue: QueueUnderTest) -> None:
    await queue.submit("ghost")
    await queue.delete_job("ghost")
    await queue.take()
    left = (await queue.depth(), await queue.has_payload("ghost"))
    await forget(queue, "ghost")
    assert left == (0, False)


async def test_a_lease_of_a_ghost_settles_nothing(queue: QueueUnderTest) -> None:
    await queue.submit("ghost")
    lease = await queue.take_one()
    await queue.delete_job("ghost")
    assert await queue.settle_script(lease) == ["stale"]
    await forget(queue, "ghost")


async def test_a_waiting_producer_makes_a_lost_job_anew(queue: QueueUnderTest) -> None:
    await queue.submit("ghost")
    await queue.delete_job("ghost")
    assert await queue.submit("ghost") == ["new"]
    assert await queue.work_off() == ["ghost"]


async def test_a_job_made_anew_stands_in_one_set(queue: QueueUnderTest) -> None:
    await queue.submit("ghost")
    await queue.take()
    await queue.delete_job("ghost")
    await queue.submit("ghost")
    places = await queue.places("ghost")
    await forget(queue, "ghost")
    assert places == ["ready:batch"]


async def test_a_payload_deleted_by_hand_is_a_verdict(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.delete_payload("a")
    assert (await queue.take_one()).verdict == "payload_missing"


async def test_a_missing_payload_costs_no_permit(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.delete_payload("a")
    await queue.take()
    assert await queue.permits() == 0


async def test_a_missing_payload_takes_no_slot_from_other_jobs(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit("a", "b", "c")
    await queue.delete_payload("a")
    assert queue.names(await queue.take(8)) == ["a", "b"]


async def test_a_producer_that_joins_heals_a_missing_payload(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.delete_payload("a")
    await queue.submit("a")
    assert (await queue.take_one()).verdict == ""


async def forget(queue: QueueUnderTest, name: str) -> None:
    """Delete what is left of a job that the test broke by hand."""
    digest = queue.digest(name)
    keys = queue.keys
    for key in (keys.deadlines, keys.leased, keys.later):
        await queue.redis.zrem(key, digest)
    for lane in Lane:
        await queue.redis.zrem(keys.ready(lane), digest)
    await queue.redis.delete(keys.payload(digest), keys.job(digest))
    size = int(await queue.redis.hget(keys.bytes, digest) or 0)
    await queue.redis.hdel(keys.bytes, digest)
    if await queue.redis.hincrby(keys.bytes, "sum", -size) == 0:
        await queue.redis.delete(keys.bytes)
