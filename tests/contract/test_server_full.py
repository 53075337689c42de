"""A server without memory refuses new work and drains what it has; lost scripts go unnoticed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from redis.exceptions import OutOfMemoryError
from support.dead_letters import dead
from support.queue_under_test import QueueUnderTest
from support.results import counted, failed

from weighbridge.bucket import Bucket, Refusal
from weighbridge.connection import queue_errors
from weighbridge.errors import QueueUnreachable
from weighbridge.exchange import Submission
from weighbridge.records import Counted, Failed, Lease, Result, encode_result, read_result
from weighbridge.submitter import Submitter
from weighbridge.uses.run_budget import RunBudget

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.server_only(reason="the in-memory fake has neither maxmemory nor script flags"),
]


async def test_a_submit_is_refused(queue: QueueUnderTest) -> None:
    await queue.store_payload("a")
    async with full(queue):
        with pytest.raises(OutOfMemoryError):
            await queue.submit_reply(Submission(queue.job("a")))
    assert await queue.depth() == 0


async def test_the_refusal_of_a_client_quotes_no_payload(queue: QueueUnderTest) -> None:
    submitter = Submitter(
        queue.hands.producer, queue.keys, queue.scripts, waiter="w", max_queue=10, max_bytes=2**30
    )
    async with full(queue):
        with pytest.raises(QueueUnreachable) as refusal, queue_errors():
            await submitter.submit([Submission(queue.job("{}"))])
    assert "{}" not in str(refusal.value)


async def test_jobs_are_taken(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    async with full(queue):
        assert len(await queue.take()) == 1


async def test_jobs_are_settled(queue: QueueUnderTest) -> None:
    await queue.submit("a", reply="1-0 1 my-id")
    lease = await queue.take_one()
    async with full(queue):
        assert await queue.settle_script(lease) == ["settled"]


async def test_dead_letters_are_written(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    async with full(queue):
        assert await queue.settle_script(lease, code="poison") == ["settled"]


async def test_a_dead_letter_keeps_its_payload(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    async with full(queue):
        await queue.fail(lease, code="timeout")
    assert 600_000 < await queue.redis.pttl(queue.keys.payload(lease.digest)) <= 86_400_000


async def test_dead_letters_are_dropped(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.fail(await queue.take_one())
    async with full(queue):
        assert await dead(queue).drop(await dead(queue).find()) == 1
    assert not await queue.has_payload("a")


async def test_a_replay_is_refused_and_leaves_everything(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.fail(await queue.take_one())
    failure = await queue.result("a")
    [letter] = await dead(queue).find()
    async with full(queue):
        with pytest.raises(QueueUnreachable, match=r"the Redis server is full \(maxmemory\)"):
            await dead(queue).replay(letter)
    assert (await queue.result("a"), await queue.depth()) == (failure, 0)
    assert await dead(queue).replay(letter) == "replayed"
    assert await queue.work_off() == ["a"]


async def test_results_are_published(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    async with full(queue):
        assert await queue.settle(lease) == 0
    assert await queue.result("a") is not None


async def test_failures_are_published(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    async with full(queue):
        assert await queue.fail(lease) == 0
    assert isinstance(read_result(await queue.result("a")), Failed)


async def test_a_result_has_its_ttl_all_the_same(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    first, second = await queue.take(2)
    async with full(queue):
        await queue.settle(first)
        await queue.fail(second)
    assert await queue.redis.pttl(queue.keys.result(first.digest)) > 86_400_000
    assert 290_000 < await queue.redis.pttl(queue.keys.result(second.digest)) <= 300_000


async def test_a_failure_never_overwrites_a_count(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    async with full(queue):
        await queue.settle(lease)
        await publish(queue, lease, failed(lease.digest), failed_one=True)
    assert isinstance(read_result(await queue.result("a")), Counted)


async def test_a_count_overwrites_a_failure(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    async with full(queue):
        await queue.fail(lease)
        await publish(queue, lease, counted(lease.digest), failed_one=False)
    assert isinstance(read_result(await queue.result("a")), Counted)


async def test_a_long_queue_drains_whole(queue: QueueUnderTest) -> None:
    names = [f"job-{number}" for number in range(50)]
    await queue.submit(*names)
    async with full(queue):
        assert await queue.work_off() == names
    assert await queue.depth() == 0


async def test_jobs_are_released(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    async with full(queue):
        assert await queue.jobs.release([lease]) == 1


async def test_jobs_are_retried(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    async with full(queue):
        assert await queue.jobs.retry(lease, 1)


async def test_reservations_are_settled_and_none_is_granted(queue: QueueUnderTest) -> None:
    budget = RunBudget(queue.hands.producer, queue.keys, run="nightly", limit=Decimal(10))
    await budget.open()
    [reservation] = await budget.reserve([Decimal(4)])
    async with full(queue):
        with pytest.raises(QueueUnreachable, match="is full"):
            await budget.reserve([Decimal(1)])
        assert await budget.settle({reservation.id: Decimal(3)}) == ("settled",)
        assert (await budget.inspect()).left == 7


async def test_jobs_are_withdrawn(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    async with full(queue):
        assert await queue.cancel("a") == "withdrawn"


async def test_inbox_entries_are_answered(queue: QueueUnderTest) -> None:
    entry = await queue.read_inbox_entry()
    async with full(queue):
        await queue.scripts.answer(queue.redis, [(entry, "my-id", True, b"{}")], reply_ttl_ms=1000)
    assert await queue.inbox() == (0, 0)


async def test_the_fleet_can_be_paused(queue: QueueUnderTest) -> None:
    async with full(queue):
        assert await queue.bucket.penalise(Refusal(5, generation=0))
    assert (await queue.bucket.inspect()).blocked_s > 4


async def test_a_starting_worker_learns_the_scope_that_stands(queue: QueueUnderTest) -> None:
    scope = {"base_url": "http://localhost"}
    await queue.scripts.claim_scope(queue.redis, scope)
    async with full(queue):
        assert await queue.scripts.claim_scope(queue.redis, scope) == scope


async def test_a_starting_worker_sets_the_rate(queue: QueueUnderTest) -> None:
    async with full(queue):
        await Bucket(queue.hands.worker, queue.keys, queue.scripts, rpm=600).offer()
    assert (await queue.bucket.inspect()).rpm == 600


async def test_an_operator_can_hold_the_fleet(queue: QueueUnderTest) -> None:
    async with full(queue):
        assert (await queue.bucket.change("pause")).paused


async def test_headers_are_heeded(queue: QueueUnderTest) -> None:
    async with full(queue):
        assert await queue.bucket.observe(limit=60, low=False) == 1_000_000


async def test_permits_are_granted(queue: QueueUnderTest) -> None:
    async with full(queue):
        reply = await queue.scripts.permit(
            queue.redis, caller="caller", want=1, interval_us=60, turn_us=0
        )
    assert len(reply.slots_us) == 1


async def test_lost_scripts_go_unnoticed(queue: QueueUnderTest) -> None:
    async def forget_scripts() -> None:
        await queue.redis.script_flush()

    await forget_scripts()
    await queue.submit("a", "b", "c", "d")
    await forget_scripts()
    settled, released, retried = await queue.take(3)
    await forget_scripts()
    assert await queue.settle(settled) == 0
    await forget_scripts()
    assert await queue.jobs.release([released]) == 1
    await forget_scripts()
    assert await queue.jobs.retry(retried, 1)
    await forget_scripts()
    assert await queue.cancel("d") == "withdrawn"
    await forget_scripts()
    assert await queue.bucket.penalise(Refusal(1, generation=0))
    await forget_scripts()
    await queue.set_rate(600)


async def test_a_known_script_is_not_sent_again(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.redis.config_resetstat()
    await queue.submit("a")
    commands = await queue.redis.info("commandstats")
    assert "cmdstat_evalsha" in commands
    assert "cmdstat_eval" not in commands


async def publish(queue: QueueUnderTest, lease: Lease, result: Result, *, failed_one: bool) -> None:
    """Publish once more, as a repeated script or a zombie would."""
    key, text = queue.keys.result(lease.digest), encode_result(result)
    await queue.scripts.publish(queue.redis, key, text, ttl_ms=60_000, failed=failed_one)


@asynccontextmanager
async def full(queue: QueueUnderTest) -> AsyncIterator[None]:
    """Run a block on a server that has no memory left."""
    await queue.redis.config_set("maxmemory", "1")
    try:
        yield
    finally:
        await queue.redis.config_set("maxmemory", "0")
