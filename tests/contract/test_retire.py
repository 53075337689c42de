"""Retiring: consumers of the inbox go with their workers, and never while they hold an entry."""

import pytest
from support.queue_under_test import QueueUnderTest

from weighbridge.scripts import INBOX_GROUP

pytestmark = pytest.mark.asyncio


async def test_a_consumer_whose_worker_is_gone_is_removed(queue: QueueUnderTest) -> None:
    await join(queue, "gone")
    assert await queue.scripts.retire(queue.redis) == 1
    assert await consumers(queue) == []


async def test_a_consumer_whose_worker_lives_stays(queue: QueueUnderTest) -> None:
    await queue.visit(worker="living")
    await join(queue, "living")
    assert await queue.scripts.retire(queue.redis) == 0
    assert await consumers(queue) == ["living"]


async def test_a_worker_without_a_sign_of_life_is_gone_after_half_a_minute(
    queue: QueueUnderTest,
) -> None:
    await queue.visit(worker="silent")
    await join(queue, "silent")
    await queue.pass_time(31)
    assert await queue.scripts.retire(queue.redis) == 1


async def test_a_consumer_that_holds_an_entry_stays(queue: QueueUnderTest) -> None:
    entry = await queue.read_inbox_entry()
    assert await queue.scripts.retire(queue.redis, leaving="worker") == 0
    assert await queue.inbox() == (1, 1)
    await queue.redis.xack(queue.keys.inbox, INBOX_GROUP, entry)
    assert await queue.scripts.retire(queue.redis, leaving="worker") == 1


async def test_a_consumer_that_leaves_takes_no_other_with_it(queue: QueueUnderTest) -> None:
    for worker in ("leaving", "living"):
        await queue.visit(worker=worker)
        await join(queue, worker)
    assert await queue.scripts.retire(queue.redis, leaving="leaving") == 1
    assert await consumers(queue) == ["living"]


async def test_a_repeated_script_removes_nothing_more(queue: QueueUnderTest) -> None:
    await join(queue, "gone")
    await queue.scripts.retire(queue.redis)
    assert await queue.scripts.retire(queue.redis) == 0


async def test_without_an_inbox_there_is_nobody_to_retire(queue: QueueUnderTest) -> None:
    assert await queue.scripts.retire(queue.redis, leaving="worker") == 0


async def test_without_a_group_there_is_nobody_to_retire(queue: QueueUnderTest) -> None:
    await queue.redis.xadd(queue.keys.inbox, {"payload": "{}"})
    assert await queue.scripts.retire(queue.redis) == 0


async def join(queue: QueueUnderTest, consumer: str) -> None:
    """Make a consumer that holds nothing, as an idle intake is one."""
    entry = await queue.read_inbox_entry()
    await queue.redis.xack(queue.keys.inbox, INBOX_GROUP, entry)
    await queue.redis.xgroup_delconsumer(queue.keys.inbox, INBOX_GROUP, "worker")
    await queue.redis.xgroup_createconsumer(queue.keys.inbox, INBOX_GROUP, consumer)


async def consumers(queue: QueueUnderTest) -> list[str]:
    """Return the names of the inbox's consumers."""
    rows = await queue.redis.xinfo_consumers(queue.keys.inbox, INBOX_GROUP)
    return sorted(row["name"].decode() for row in rows)
