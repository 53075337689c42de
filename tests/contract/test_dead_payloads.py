"""The payload of a dead letter stays for its time, whatever its digest goes through."""

import pytest
from support.dead_letters import DAY_MS, bury, dead, payload_ttl
from support.pools import until
from support.queue_under_test import QueueUnderTest

pytestmark = pytest.mark.asyncio


async def test_a_dead_letters_payload_stays_for_its_time(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    assert DAY_MS - 600_000 < await payload_ttl(queue, "a") <= DAY_MS


async def test_a_repeated_settle_leaves_the_payload_its_time(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    assert await queue.settle_script(lease, code="poison", dead_ttl_ms=600_000) == ["settled"]
    assert await queue.settle_script(lease, code="poison", dead_ttl_ms=DAY_MS) == ["stale"]
    assert await queue.settle_script(lease, dead_ttl_ms=DAY_MS) == ["stale"]
    assert 0 < await payload_ttl(queue, "a") <= 600_000


async def test_without_a_time_no_payload_is_kept(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle_script(await queue.take_one(), code="poison", dead_ttl_ms=0)
    assert not await queue.has_payload("a")
    assert not await queue.redis.exists(queue.keys.kept(queue.digest("a")))


async def test_a_payload_goes_when_its_time_is_over(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle_script(await queue.take_one(), code="poison", dead_ttl_ms=1)

    async def gone() -> bool:
        return not await queue.has_payload("a")

    await until(gone)
    [letter] = await dead(queue).find()
    assert not letter.kept


async def test_a_job_without_a_payload_keeps_none(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.delete_payload("a")
    await queue.fail(await queue.take_one(), code="payload_missing")
    [letter] = await dead(queue).find()
    assert not letter.kept
    assert not await queue.redis.exists(queue.keys.kept(letter.digest))


async def test_a_later_submit_makes_the_payload_last_until_it_is_counted(
    queue: QueueUnderTest,
) -> None:
    await bury(queue, "a")
    await queue.submit("a", force=True)
    assert await payload_ttl(queue, "a") == -1
    assert await queue.work_off() == ["a"]
    assert not await queue.has_payload("a")


async def test_a_later_failure_keeps_the_payload_by_its_own_setting(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    await queue.submit("a", force=True)
    await queue.settle_script(await queue.take_one(), code="poison", dead_ttl_ms=0)
    assert not await queue.has_payload("a")


async def test_a_refused_submit_leaves_a_letter_its_payload(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    await queue.submit("other")
    assert await queue.submit("a", force=True, max_queue=1) == ["full"]
    assert 600_000 < await payload_ttl(queue, "a") <= DAY_MS
    assert await queue.submit("b", max_queue=1) == ["full"]
    assert not await queue.has_payload("b")


async def test_a_late_duplicate_leaves_a_letter_its_payload(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    assert await queue.submit("a") == ["settled"]
    assert 600_000 < await payload_ttl(queue, "a") <= DAY_MS


async def test_a_withdrawn_job_leaves_a_letter_its_payload(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    await queue.submit("a", force=True)
    assert await queue.cancel("a") == "withdrawn"
    assert 600_000 < await payload_ttl(queue, "a") <= DAY_MS


async def test_a_letter_that_makes_room_takes_its_payload_along(queue: QueueUnderTest) -> None:
    for name in "abc":
        await queue.submit(name)
        await queue.settle_script(await queue.take_one(), code="poison", max_dead=2)
    assert queue.names(await dead(queue).find()) == ["c", "b"]
    assert [await queue.has_payload(name) for name in "abc"] == [False, True, True]
