"""Submit: a job is its digest, so nothing is done twice and nothing that was accepted is lost."""

import pytest
from support.queue_under_test import QueueUnderTest
from support.stored_queue import ORPHAN_TTL_MS

from weighbridge.exchange import Submission
from weighbridge.records import Lane

pytestmark = pytest.mark.asyncio


async def test_a_new_job_is_ready_in_its_lane(queue: QueueUnderTest) -> None:
    assert await queue.submit("a", lane=Lane.INTERACTIVE) == ["new"]
    assert await queue.places("a") == ["ready:interactive"]


async def test_a_lease_tells_what_was_submitted(queue: QueueUnderTest) -> None:
    await queue.submit("a", lane=Lane.INTERACTIVE, producer="team-1")
    lease = await queue.take_one()
    assert (lease.digest, lease.lane, lease.model) == (
        queue.digest("a"),
        Lane.INTERACTIVE,
        "claude-sonnet-5",
    )
    assert (lease.producer, lease.verdict, lease.deliveries, lease.attempts) == ("team-1", "", 1, 0)


async def test_a_repeated_submit_changes_nothing(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    before = await queue.redis.hgetall(queue.keys.job(queue.digest("a")))
    assert await queue.submit("a") == ["joined"]
    assert await queue.redis.hgetall(queue.keys.job(queue.digest("a"))) == before
    assert await queue.ready() == ["a", "b"]


async def test_a_digest_twice_in_one_call_is_one_job(queue: QueueUnderTest) -> None:
    assert await queue.submit("a", "a") == ["new", "joined"]
    assert await queue.work_off() == ["a"]


async def test_many_duplicates_make_one_delivery(queue: QueueUnderTest) -> None:
    for waiter in range(20):
        await queue.submit(*["a"] * 50, waiter=f"client-{waiter}")
    assert await queue.work_off() == ["a"]
    assert await queue.permits() == 1


async def test_a_duplicate_joins_a_leased_job(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take()
    assert await queue.submit("a") == ["joined"]
    assert await queue.places("a") == ["leased"]


async def test_a_duplicate_joins_a_job_that_waits_for_its_retry(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.jobs.retry(await queue.take_one(), 60)
    assert await queue.submit("a") == ["joined"]
    assert await queue.places("a") == ["later"]


async def test_a_join_leaves_deliveries_and_attempts_alone(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.jobs.retry(await queue.take_one(), 0)
    await queue.take()
    await queue.submit("a")
    assert await queue.deliveries("a") == 1
    assert await queue.field("a", "attempts") == "1"


async def test_a_submit_without_its_payload_is_refused(queue: QueueUnderTest) -> None:
    reply = await queue.submit_reply(Submission(queue.job("a")))
    assert reply.statuses == ("payload_missing",)
    assert await queue.depth() == 0


async def test_a_refused_job_takes_no_place_from_its_neighbours(queue: QueueUnderTest) -> None:
    await queue.store_payload("b")
    reply = await queue.submit_reply(Submission(queue.job("a")), Submission(queue.job("b")))
    assert reply.statuses == ("payload_missing", "new")


async def test_a_live_payload_has_no_ttl(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    assert await queue.redis.pttl(queue.keys.payload(queue.digest("a"))) == -1


async def test_a_live_job_has_no_ttl(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    assert await queue.redis.pttl(queue.keys.job(queue.digest("a"))) == -1


async def test_a_join_makes_a_payload_last_that_got_a_ttl_back(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.redis.pexpire(queue.keys.payload(queue.digest("a")), ORPHAN_TTL_MS)
    await queue.submit("a")
    assert await queue.redis.pttl(queue.keys.payload(queue.digest("a"))) == -1


async def test_a_payload_that_was_never_submitted_goes_by_itself(queue: QueueUnderTest) -> None:
    await queue.store_payload("a")
    assert 0 < await queue.redis.pttl(queue.keys.payload(queue.digest("a"))) <= ORPHAN_TTL_MS


async def test_a_submit_just_after_the_settle_answers_settled(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle(await queue.take_one())
    assert await queue.submit("a") == ["settled"]
    assert await queue.places("a") == []


async def test_an_answer_of_settled_leaves_no_payload_behind(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle(await queue.take_one())
    await queue.submit("a")
    assert not await queue.has_payload("a")


async def test_the_tombstone_stays_for_a_minute(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle(await queue.take_one())
    assert 50_000 < await queue.redis.pttl(queue.keys.job(queue.digest("a"))) <= 60_000


async def test_a_forced_submit_passes_the_tombstone(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle(await queue.take_one())
    assert await queue.submit("a", force=True) == ["new"]
    assert await queue.work_off() == ["a"]


async def test_a_job_made_by_force_outlives_the_tombstones_ttl(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle(await queue.take_one())
    await queue.submit("a", force=True)
    assert await queue.redis.pttl(queue.keys.job(queue.digest("a"))) == -1


async def test_a_forced_submit_joins_a_live_job(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take()
    assert await queue.submit("a", force=True) == ["joined"]
    assert await queue.places("a") == ["leased"]


async def test_a_repeated_submit_that_was_worked_off_meanwhile_makes_no_new_job(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    await queue.work_off()
    assert await queue.submit("a") == ["settled"]
    assert await queue.depth() == 0


async def test_a_full_queue_refuses_new_jobs(queue: QueueUnderTest) -> None:
    assert await queue.submit("a", "b", "c", max_queue=2) == ["new", "new", "full"]
    assert await queue.depth() == 2


async def test_a_full_queue_tells_its_depth_and_its_interval(queue: QueueUnderTest) -> None:
    await queue.set_rate(600)
    await queue.submit("a", "b")
    await queue.store_payload("c")
    reply = await queue.submit_reply(Submission(queue.job("c")), max_queue=2)
    assert (reply.depth, reply.interval_us) == (2, 100_000)


async def test_a_full_queue_counts_leased_jobs_and_retries(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    await queue.jobs.retry(await queue.take_one(), 60)
    await queue.take()
    assert await queue.submit("c", max_queue=2) == ["full"]


async def test_a_full_queue_lets_duplicates_join(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    assert await queue.submit("b", max_queue=2) == ["joined"]


async def test_a_place_that_is_freed_can_be_taken(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle(await queue.take_one())
    assert await queue.submit("b", max_queue=1) == ["new"]


async def test_an_answer_of_full_leaves_no_payload_behind(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    assert await queue.submit("b", "a", max_queue=1) == ["full", "joined"]
    assert not await queue.has_payload("b")
    assert await queue.has_payload("a")


async def test_joined_submits_keep_the_latest_deadline(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=60)
    await queue.submit("a", deadline_s=3600)
    await queue.submit("a", deadline_s=1)
    await queue.pass_time(3000)
    assert (await queue.take_one()).verdict == ""


async def test_a_submitted_inbox_entry_leaves_the_inbox(queue: QueueUnderTest) -> None:
    entry = await queue.read_inbox_entry()
    await queue.submit("a", reply=f"{entry} 0 {entry}", entry=entry, waiter="")
    assert await queue.inbox() == (0, 0)


async def test_a_joining_inbox_entry_leaves_the_inbox(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    entry = await queue.read_inbox_entry()
    await queue.submit("a", reply=f"{entry} 0 {entry}", entry=entry, waiter="")
    assert await queue.inbox() == (0, 0)


async def test_a_refused_inbox_entry_stays_in_the_inbox(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    entry = await queue.read_inbox_entry()
    await queue.submit("b", reply=f"{entry} 0 {entry}", entry=entry, waiter="", max_queue=1)
    assert await queue.inbox() == (1, 1)


async def test_an_entry_that_met_a_tombstone_stays_until_it_is_answered(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    await queue.work_off()
    entry = await queue.read_inbox_entry()
    await queue.submit("a", reply=f"{entry} 0 {entry}", entry=entry, waiter="")
    assert await queue.inbox() == (1, 1)
    assert not await queue.redis.exists(queue.keys.replies(queue.digest("a")))


async def test_a_batch_as_long_as_a_clients_is_submitted_whole(queue: QueueUnderTest) -> None:
    names = [f"job-{number}" for number in range(1000)]
    assert await queue.submit(*names) == ["new"] * 1000
    assert await queue.depth() == 1000
