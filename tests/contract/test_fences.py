"""Fences: whoever no longer holds a lease changes nothing, however often he tries."""

from collections.abc import Awaitable, Callable

import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest

from weighbridge.records import Lease

pytestmark = pytest.mark.asyncio

Step = Callable[[QueueUnderTest, Lease], Awaitable[object]]


async def settle(queue: QueueUnderTest, lease: Lease) -> object:
    """Settle; returns whether the lease held."""
    return await queue.settle_script(lease) == ["settled"]


async def retry(queue: QueueUnderTest, lease: Lease) -> object:
    """Retry; returns whether the lease held."""
    return await queue.jobs.retry(lease, 60)


async def release(queue: QueueUnderTest, lease: Lease) -> object:
    """Release; returns whether the lease held."""
    return await queue.jobs.release([lease]) == 1


every_step = pytest.mark.parametrize("step", [settle, retry, release])


@every_step
async def test_the_holder_of_a_lease_may_end_it(queue: QueueUnderTest, step: Step) -> None:
    await queue.submit("a")
    assert await step(queue, await queue.take_one())


@every_step
@pytest.mark.parametrize("ended_by", [settle, retry, release])
async def test_a_lease_ends_once(queue: QueueUnderTest, ended_by: Step, step: Step) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    await ended_by(queue, lease)
    before = await snapshot(queue)
    assert not await step(queue, lease)
    assert await snapshot(queue) == before


@every_step
async def test_a_lease_that_went_to_another_worker_is_stale(
    queue: QueueUnderTest, step: Step
) -> None:
    await queue.submit("a")
    stale = await queue.take_one(worker="zombie")
    await queue.end_leases()
    await queue.take_one(worker="alive")
    before = await snapshot(queue)
    assert not await step(queue, stale)
    assert await snapshot(queue) == before


@every_step
async def test_a_lease_whose_job_went_back_to_ready_is_stale(
    queue: QueueUnderTest, step: Step
) -> None:
    await queue.submit("a")
    stale = await queue.take_one()
    await queue.end_leases()
    await queue.take(0)
    before = await snapshot(queue)
    assert not await step(queue, stale)
    assert await snapshot(queue) == before


@every_step
async def test_a_job_made_anew_does_not_know_the_old_lease(
    queue: QueueUnderTest, step: Step
) -> None:
    await queue.submit("a")
    zombie = await queue.take_one(worker="zombie")
    await queue.end_leases()
    await queue.settle(await queue.take_one(worker="alive"))
    await queue.submit("a", force=True)
    await queue.take_one(worker="alive")
    before = await snapshot(queue)
    assert not await step(queue, zombie)
    assert await snapshot(queue) == before


async def test_tokens_come_from_one_counter_of_the_namespace(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    tokens = [lease.token for lease in await queue.take(2)]
    await queue.end_leases()
    tokens += [lease.token for lease in await queue.take(2, worker="other")]
    assert tokens == list(range(tokens[0], tokens[0] + 4))


async def test_a_verdict_has_a_token_like_any_lease(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=1)
    await queue.pass_time(2)
    stale = await queue.take_one()
    await queue.jobs.release([stale])
    await queue.take_one()
    assert await queue.settle_script(stale) == ["stale"]


async def test_a_release_undoes_the_delivery(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    for _ in range(5):
        lease = await queue.take_one()
        assert lease.deliveries == 1
        await queue.jobs.release([lease])


async def test_a_release_uses_no_attempt(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.jobs.release([await queue.take_one()])
    assert (await queue.take_one()).attempts == 0


async def test_a_release_of_many_gives_back_those_that_hold(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b", "c")
    leases = await queue.take(3)
    await queue.settle(leases[1])
    assert await queue.jobs.release(leases) == 2
    assert await queue.ready() == ["a", "c"]


async def test_a_lease_twice_in_one_call_is_released_once(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.die_with("a")
    lease = await queue.take_one()
    assert await queue.jobs.release([lease, lease]) == 1
    assert await queue.deliveries("a") == 1


async def test_a_retry_uses_an_attempt(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.jobs.retry(await queue.take_one(), 0)
    assert (await queue.take_one()).attempts == 1


async def test_a_repeated_retry_burns_one_attempt(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    await queue.jobs.retry(lease, 0)
    await queue.jobs.retry(lease, 0)
    assert (await queue.take_one()).attempts == 1


async def test_a_retry_waits_in_later(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.jobs.retry(await queue.take_one(), 60)
    assert await queue.places("a") == ["later"]


async def test_a_lease_says_when_it_ends(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit("a")
    assert (await queue.take_one(lease_s=30)).ends_us == 30_000_000


async def test_a_lease_runs_from_its_slot(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit("a", "b")
    await queue.take_one(lease_s=30)
    second = await queue.take_one(lease_s=30)
    assert second.slot_us > 0
    assert second.ends_us == second.slot_us + 30_000_000


async def snapshot(queue: QueueUnderTest) -> list[object]:
    """Read everything that a stale step could harm."""
    keys, digest = queue.keys, queue.digest("a")
    sets = [keys.leased, keys.later, keys.deadlines, keys.prefix + "ready:batch"]
    return [
        await queue.redis.hgetall(keys.job(digest)),
        await queue.has_payload("a"),
        *[await queue.redis.zrange(key, 0, -1, withscores=True) for key in sets],
    ]
