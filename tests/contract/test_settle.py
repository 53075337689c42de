"""Settle: in one step a job leaves everything, its waiters learn of it, and a tombstone stays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from support.queue_under_test import QueueUnderTest
from support.results import counted, failed

from weighbridge.jobs import Verdict
from weighbridge.records import Counted, Failed, Lane, read_result, read_told

pytestmark = pytest.mark.asyncio

DAY_MS = 86_400_000


async def test_a_settled_job_leaves_every_set(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle(await queue.take_one())
    assert await queue.places("a") == []
    assert await queue.depth() == 0


async def test_a_settled_job_leaves_no_payload(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle(await queue.take_one())
    assert not await queue.has_payload("a")


async def test_a_settled_job_leaves_a_tombstone_that_says_how_it_ended(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a", "b")
    first, second = await queue.take(2)
    await queue.settle(first)
    await queue.fail(second)
    tombstones = [await queue.redis.hgetall(queue.keys.job(queue.digest(name))) for name in "ab"]
    assert tombstones == [{b"settled": b"counted"}, {b"settled": b"failed"}]


async def test_the_result_is_there_with_a_ttl(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle(await queue.take_one(), tokens=42)
    assert read_result(await queue.result("a")) == counted(queue.digest("a"), 42)
    assert await queue.redis.pttl(queue.keys.result(queue.digest("a"))) > DAY_MS


async def test_a_failure_stays_at_least_five_minutes(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.fail(await queue.take_one())
    assert await queue.redis.pttl(queue.keys.result(queue.digest("a"))) > 290_000


async def test_a_failure_goes_long_before_a_count(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    await queue.fail(await queue.take_one())
    await queue.settle(await queue.take_one())
    failure, count = [await queue.redis.pttl(queue.keys.result(queue.digest(n))) for n in "ab"]
    assert failure <= 300_000
    assert count > 86_400_000


async def test_a_count_overwrites_a_failure(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    await queue.fail(lease)
    await queue.settle(lease)
    assert isinstance(read_result(await queue.result("a")), Counted)


async def test_a_failure_never_overwrites_a_count(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    await queue.settle(lease)
    await queue.fail(lease)
    assert isinstance(read_result(await queue.result("a")), Counted)


async def test_a_zombies_failure_does_not_end_a_job_that_another_counts(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    zombie = await queue.take_one(worker="zombie")
    await queue.end_leases()
    alive = await queue.take_one(worker="alive")
    assert await queue.fail(zombie) == 1
    assert await queue.settle(alive) == 0
    assert isinstance(read_result(await queue.result("a")), Counted)


async def test_a_zombies_failure_is_no_result_while_the_job_is_live(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    zombie = await queue.take_one(worker="zombie")
    await queue.end_leases()
    await queue.take(worker="alive")
    await queue.fail(zombie)
    assert await queue.result("a") is None


async def test_a_zombies_failure_is_no_result_while_the_job_waits(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    zombie = await queue.take_one(worker="zombie")
    await queue.end_leases()
    await queue.take(0, worker="alive")
    assert await queue.fail(zombie) == 1
    assert await queue.result("a") is None


async def test_a_zombies_failure_keeps_no_neighbour_from_its_result(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a", "b", "c")
    zombie, other, third = await queue.take(3)
    await queue.jobs.release([zombie])
    verdicts = [
        Verdict(zombie, failed(zombie.digest)),
        Verdict(other, failed(other.digest)),
        Verdict(third, counted(third.digest)),
    ]
    assert await queue.jobs.settle(verdicts) == 1
    results = [await queue.result(name) for name in "abc"]
    assert [result is None for result in results] == [True, False, False]


async def test_a_zombies_count_is_a_result(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    zombie = await queue.take_one(worker="zombie")
    await queue.end_leases()
    await queue.take(worker="alive")
    assert await queue.settle(zombie) == 1
    assert isinstance(read_result(await queue.result("a")), Counted)


async def test_many_jobs_are_settled_in_one_call(queue: QueueUnderTest) -> None:
    await queue.submit(*(f"job-{number}" for number in range(50)))
    leases = await queue.take(50)
    assert await queue.settle_script(*leases) == ["settled"] * 50
    assert await queue.depth() == 0


async def test_one_settle_call_publishes_one_message(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b", "c")
    leases = await queue.take(3)
    async with listening(queue) as messages:
        await queue.settle(*leases)
        digests = (await anext(messages)).split(",")
        assert digests == [lease.digest for lease in leases]
        await queue.redis.publish(queue.keys.done, "last")
        assert await anext(messages) == "last"


async def test_a_count_is_told_as_it_is_stored(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    async with listening(queue, queue.keys.told) as messages:
        await queue.settle(lease, tokens=42)
        told = await anext(messages)
    stored = await queue.result("a")
    assert stored is not None
    assert told == f"[{stored.decode()}]"


async def test_of_a_failure_the_digest_alone_is_told(queue: QueueUnderTest) -> None:
    """A late success may have been written before it, and stays."""
    await queue.submit("a")
    lease = await queue.take_one()
    async with listening(queue, queue.keys.told) as messages:
        await queue.fail(lease)
        assert await anext(messages) == f'["{lease.digest}"]'


async def test_what_one_call_settled_is_told_in_one_message(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b", "c", "d")
    count, failure, stale, other = await queue.take(4)
    await queue.jobs.release([stale])
    verdicts = [
        Verdict(count, counted(count.digest, 1)),
        Verdict(failure, failed(failure.digest)),
        Verdict(stale, counted(stale.digest)),
        Verdict(other, counted(other.digest, 2)),
    ]
    async with listening(queue, queue.keys.told) as messages:
        await queue.jobs.settle(verdicts)
        told = read_told((await anext(messages)).encode())
    assert told == [counted(count.digest, 1), failure.digest, counted(other.digest, 2)]


async def test_what_is_told_comes_before_done(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    async with listening(queue, queue.keys.done, queue.keys.told) as messages:
        await queue.settle(lease)
        told, done = await anext(messages), await anext(messages)
    assert (read_told(told.encode()), done) == ([counted(lease.digest)], lease.digest)


@pytest.mark.parametrize("channel", ["done", "told"])
async def test_a_stale_settle_publishes_nothing(queue: QueueUnderTest, channel: str) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    await queue.settle(lease)
    async with listening(queue, getattr(queue.keys, channel)) as messages:
        await queue.settle(lease)
        await queue.redis.publish(getattr(queue.keys, channel), "last")
        assert await anext(messages) == "last"


@pytest.mark.parametrize("channel", ["done", "told"])
async def test_a_woken_waiter_finds_the_result(queue: QueueUnderTest, channel: str) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    channels = listening(queue, getattr(queue.keys, channel))
    async with channels as messages, anyio.create_task_group() as tasks:
        tasks.start_soon(queue.settle, lease)
        await anext(messages)
        assert await queue.result("a") is not None


async def test_a_failed_job_is_a_dead_letter(queue: QueueUnderTest) -> None:
    await queue.submit("a", lane=Lane.INTERACTIVE, producer="team-1")
    await queue.fail(await queue.take_one(), code="poison")
    [(_, letter)] = await queue.redis.xrange(queue.keys.dead)
    assert letter[b"digest"].decode() == queue.digest("a")
    assert (letter[b"code"], letter[b"producer"], letter[b"lane"]) == (
        b"poison",
        b"team-1",
        b"interactive",
    )


async def test_a_counted_job_is_no_dead_letter(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.settle(await queue.take_one())
    assert await queue.redis.xlen(queue.keys.dead) == 0


async def test_a_stale_failure_is_no_dead_letter(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    await queue.fail(lease)
    await queue.fail(lease)
    assert await queue.redis.xlen(queue.keys.dead) == 1


async def test_dead_letters_are_bounded(queue: QueueUnderTest) -> None:
    await queue.submit(*(f"job-{number}" for number in range(300)))
    await queue.settle_script(*await queue.take_many(300), code="bad", max_dead=100)
    assert 100 <= await queue.redis.xlen(queue.keys.dead) <= 200


async def test_a_settle_that_is_not_done_publishes_nothing(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    members = [f"1-0 0 id-{number}" for number in range(300)]
    await queue.redis.sadd(queue.keys.replies(queue.digest("a")), *members)
    lease = await queue.take_one()
    async with listening(queue) as messages:
        assert await queue.settle_script(lease) == ["more"]
        await queue.redis.publish(queue.keys.done, "between")
        assert await queue.settle_script(lease) == ["settled"]
        assert [await anext(messages), await anext(messages)] == ["between", lease.digest]


async def test_settling_says_how_many_leases_no_longer_held(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    first, second = await queue.take(2)
    await queue.jobs.release([first])
    verdicts: list[Counted | Failed] = [failed(first.digest), counted(second.digest)]
    assert await queue.jobs.settle([Verdict(first, verdicts[0]), Verdict(second, verdicts[1])]) == 1


@asynccontextmanager
async def listening(queue: QueueUnderTest, *channels: str) -> AsyncIterator[AsyncIterator[str]]:
    """Subscribe to what is settled, on ``done`` unless channels are named."""
    async with queue.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(*(channels or (queue.keys.done,)))
        yield messages_of(pubsub)


async def messages_of(pubsub: Any) -> AsyncIterator[str]:
    """Yield messages, each within ten seconds."""
    while True:
        with anyio.fail_after(10):
            while (message := await pubsub.get_message(timeout=1.0)) is None:
                pass
        yield message["data"].decode()
