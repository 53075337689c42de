"""Permits without jobs: for other calls to the same limit, from the one schedule."""

import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest
from support.stored_queue import gaps

from weighbridge.bucket import Refusal
from weighbridge.exchange import PermitReply

pytestmark = pytest.mark.asyncio


async def test_an_empty_bucket_has_a_permit_now(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    assert (await permit(queue)).slots_us == (0,)


async def test_permits_are_counted_with_those_of_jobs(queue: QueueUnderTest) -> None:
    await permit(queue, want=3)
    assert await queue.permits() == 3


async def test_a_caller_gets_no_more_than_it_wants(queue: QueueUnderTest) -> None:
    assert len((await permit(queue, want=2)).slots_us) == 2
    assert (await permit(queue, want=0)).slots_us == ()


async def test_permits_of_one_draw_are_an_interval_apart(queue: QueueUnderTest) -> None:
    await queue.set_rate(60_000)
    slots = list((await permit(queue, want=4)).slots_us)
    assert gaps(slots) == [1_000] * (len(slots) - 1)
    assert len(slots) >= 2


async def test_permits_and_leases_are_an_interval_apart(queue: QueueUnderTest) -> None:
    await queue.set_rate(10)
    await queue.submit_many(8)
    leases, drawn = [], []
    for number in range(8):
        if number % 2:
            leases += await queue.take(8, lease_s=200)
        elif (await permit(queue, want=8)).slots_us:
            drawn.append(await next_free_slot(queue) - 6_000_000)
        await queue.pass_time(6)
        drawn = [slot - 6_000_000 for slot in drawn]
    slots = sorted([*(await queue.slots(leases, lease_s=200)), *drawn])
    assert len(slots) == 8
    assert min(gaps(slots)) >= 6_000_000


async def test_many_callers_share_the_slots_of_one_schedule(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    replies = [await permit(queue, want=8, caller=f"caller-{n}") for n in range(10)]
    assert sum(len(reply.slots_us) for reply in replies) == 2


async def test_a_reply_says_when_to_come_back(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await permit(queue)
    reply = await permit(queue)
    assert reply.interval_us == 1_000_000
    assert 0 < reply.visit_us <= reply.interval_us <= reply.longest_us


async def test_a_paused_fleet_grants_no_permit(queue: QueueUnderTest) -> None:
    await queue.bucket.change("pause")
    assert (await permit(queue)).slots_us == ()


async def test_a_penalised_fleet_grants_no_permit(queue: QueueUnderTest) -> None:
    await queue.bucket.penalise(Refusal(30, generation=0))
    reply = await permit(queue)
    assert reply.slots_us == ()
    assert reply.visit_us > 25_000_000


async def test_a_hold_has_one_probe_for_all(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await queue.bucket.penalise(Refusal(10, generation=0, hold="spend_limit"))
    await queue.pass_time(10)
    assert len((await permit(queue, want=8)).slots_us) == 1
    assert await queue.take(8) == []


async def test_a_permit_whose_reply_was_lost_lapses(queue: QueueUnderTest) -> None:
    await queue.set_rate(10)
    await permit(queue)
    await queue.pass_time(6)
    assert (await permit(queue)).slots_us == (0,)


async def test_a_bucket_without_a_rate_takes_the_callers(queue: QueueUnderTest) -> None:
    await queue.redis.delete(queue.keys.bucket)
    assert (await permit(queue, interval_us=700_000)).interval_us == 700_000


async def test_a_caller_counts_among_the_living_until_it_falls_silent(
    queue: QueueUnderTest,
) -> None:
    await permit(queue, caller="caller")
    assert await queue.redis.zrange(queue.keys.workers, 0, -1) == [b"caller"]
    await queue.pass_time(31)
    await permit(queue, caller="another")
    assert await queue.redis.zrange(queue.keys.workers, 0, -1) == [b"another"]


async def permit(
    queue: QueueUnderTest, want: int = 1, *, caller: str = "caller", interval_us: int = 60
) -> PermitReply:
    """Draw permits in the caller's turn."""
    return await queue.scripts.permit(
        queue.redis, caller=caller, want=want, interval_us=interval_us, turn_us=0
    )


async def next_free_slot(queue: QueueUnderTest) -> int:
    """Return the end of the last slot granted, on the server's clock, in µs."""
    return int(await queue.redis.hget(queue.keys.bucket, "tat") or 0)
