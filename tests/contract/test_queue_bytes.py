"""The bound by bytes: what is counted is what the live jobs' payloads weigh, however a job ends.

A payload is its job's name, and the fixture compares the count with the jobs after every test.
"""

import pytest
from support.queue_under_test import QueueUnderTest

pytestmark = pytest.mark.asyncio


async def test_live_payloads_are_counted_by_their_bytes(queue: QueueUnderTest) -> None:
    await queue.submit("four", "seven..")
    assert await queue.queue_bytes() == 11


async def test_a_queue_full_of_bytes_refuses_what_does_not_fit(queue: QueueUnderTest) -> None:
    assert await queue.submit("four", max_bytes=10) == ["new"]
    assert await queue.submit("seven..", "six...", max_bytes=10) == ["full_bytes", "new"]
    assert await queue.queue_bytes() == 10


async def test_a_refusal_for_bytes_leaves_no_payload_behind(queue: QueueUnderTest) -> None:
    await queue.submit("four", "seven..", max_bytes=10)
    assert not await queue.has_payload("seven..")


async def test_a_queue_full_of_bytes_lets_duplicates_join(queue: QueueUnderTest) -> None:
    await queue.submit("four", max_bytes=4)
    assert await queue.submit("four", max_bytes=4) == ["joined"]
    assert await queue.queue_bytes() == 4


async def test_a_duplicate_in_the_same_call_is_counted_once(queue: QueueUnderTest) -> None:
    await queue.submit("four", "four")
    assert await queue.queue_bytes() == 4


async def test_leased_and_waiting_jobs_are_counted(queue: QueueUnderTest) -> None:
    await queue.submit("aa", "bb")
    await queue.jobs.retry(await queue.take_one(), 60)
    await queue.take()
    assert await queue.submit("c", max_bytes=4) == ["full_bytes"]


@pytest.mark.parametrize("code", ["", "invalid_request"])
async def test_a_settled_job_frees_its_bytes(queue: QueueUnderTest, code: str) -> None:
    await queue.submit("four")
    lease = await queue.take_one()
    await queue.settle_script(lease, code=code)
    await queue.settle_script(lease, code=code)
    assert await queue.queue_bytes() == 0


async def test_a_released_job_keeps_its_bytes(queue: QueueUnderTest) -> None:
    await queue.submit("four")
    await queue.jobs.release([await queue.take_one()])
    assert await queue.queue_bytes() == 4


async def test_a_withdrawn_job_frees_its_bytes(queue: QueueUnderTest) -> None:
    await queue.submit("four", "two")
    await queue.cancel("four")
    await queue.cancel("four")
    assert await queue.queue_bytes() == 3


async def test_an_expired_job_frees_its_bytes(queue: QueueUnderTest) -> None:
    await queue.submit("four", deadline_s=1)
    await queue.pass_time(2)
    lease = await queue.take_one()
    assert lease.verdict == "expired"
    await queue.fail(lease, code="expired")
    assert await queue.queue_bytes() == 0


async def test_a_job_made_anew_by_force_is_counted_anew(queue: QueueUnderTest) -> None:
    await queue.submit("four")
    await queue.work_off()
    await queue.submit("four", force=True)
    assert await queue.queue_bytes() == 4


async def test_a_ghost_frees_its_bytes(queue: QueueUnderTest) -> None:
    await queue.submit("ghost", "a")
    await queue.delete_job("ghost")
    await queue.work_off()
    assert await queue.queue_bytes() == 0


async def test_a_job_without_hash_and_payload_frees_its_bytes(queue: QueueUnderTest) -> None:
    await queue.submit("ghost", "a")
    await queue.delete_job("ghost")
    await queue.delete_payload("ghost")
    await queue.work_off()
    assert await queue.queue_bytes() == 0


async def test_a_vanished_payload_frees_its_bytes_with_its_job(queue: QueueUnderTest) -> None:
    await queue.submit("four")
    await queue.delete_payload("four")
    lease = await queue.take_one()
    assert lease.verdict == "payload_missing"
    await queue.fail(lease, code="payload_missing")
    assert await queue.queue_bytes() == 0


async def test_a_job_whose_hash_was_lost_is_counted_once(queue: QueueUnderTest) -> None:
    await queue.submit("four")
    await queue.delete_job("four")
    assert await queue.submit("four") == ["new"]
    assert await queue.queue_bytes() == 4


async def test_a_lost_bucket_loses_no_bytes(queue: QueueUnderTest) -> None:
    await queue.submit("four")
    await queue.redis.delete(queue.keys.bucket)
    assert await queue.submit("a", max_bytes=4) == ["full_bytes"]
    await queue.work_off()
    assert await queue.queue_bytes() == 0


async def test_a_lost_count_never_goes_below_what_is_counted_anew(queue: QueueUnderTest) -> None:
    await queue.submit("four")
    await queue.redis.delete(queue.keys.bytes)
    await queue.submit("two")
    assert await queue.queue_bytes() == 3
    await queue.settle(await queue.take_one())
    assert await queue.queue_bytes() == 3


async def test_what_was_left_by_jobs_removed_by_hand_does_not_fill_an_empty_queue(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("four")
    await queue.redis.delete(queue.keys.deadlines, queue.keys.prefix + "ready:batch")
    await queue.delete_job("four")
    await queue.delete_payload("four")
    assert await queue.submit("two", max_bytes=3) == ["new"]
    assert await queue.queue_bytes() == 3


async def test_an_empty_queue_keeps_no_count(queue: QueueUnderTest) -> None:
    await queue.submit("four", "two")
    await queue.work_off()
    assert not await queue.redis.exists(queue.keys.bytes)
