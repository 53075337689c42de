"""Held jobs: a worker that missed a job's slot keeps the job, and gets another slot for it."""

import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest

from weighbridge.records import Lane, Lease

pytestmark = pytest.mark.asyncio


async def test_a_held_job_is_served_before_all_others(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.submit("quick", lane=Lane.INTERACTIVE)
    await queue.set_rate(ONE_SLOT_RPM)
    leases = await queue.take(8, held=[missed])
    assert queue.names(leases) == ["missed"]


async def test_a_held_job_keeps_its_token(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    [lease] = await queue.take(held=[missed])
    assert (lease.token, lease.verdict) == (missed.token, "")
    assert await queue.settle_script(lease) == ["settled"]


async def test_a_held_job_gets_a_new_slot_and_pays_for_it(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    missed = await missed_one(queue)
    [lease] = await queue.take(held=[missed])
    assert 0 < lease.slot_us <= 1_000_000
    assert await queue.permits() == 2


async def test_a_held_job_is_no_new_delivery(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    for _ in range(5):
        [missed] = await queue.take(held=[missed])
        assert missed.deliveries == 1
    assert await queue.deliveries("missed") == 1


async def test_a_held_job_needs_no_free_place(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    assert len(await queue.take(0, held=[missed])) == 1


async def test_what_held_jobs_leave_goes_to_others(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.submit("a", "b", "c")
    assert queue.names(await queue.take(2, held=[missed])) == ["missed", "a", "b"]


async def test_held_jobs_are_served_in_their_order(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b", "c")
    missed = await queue.take(3)
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.pass_time(1)
    served = []
    for _ in range(3):
        leases = await queue.take(8, held=missed)
        served += queue.names(leases)
        missed = missed[1:]
        await queue.pass_time(1)
    assert served == ["a", "b", "c"]


async def test_a_slot_prolongs_the_lease_of_a_held_job(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.pass_time(8)
    [lease] = await queue.take(held=[missed], lease_s=30)
    assert lease.ends_us == lease.slot_us + 30_000_000
    await queue.pass_time(9)
    await queue.take(0, worker="other")
    await queue.pass_time(9)
    await queue.take(0, worker="other")
    await queue.pass_time(9)
    assert await queue.take(worker="other") == []
    assert await queue.settle_script(lease) == ["settled"]


async def test_without_a_slot_the_lease_of_a_held_job_runs_on(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.bucket.change("pause")
    before = await queue.slots([missed])
    await queue.pass_time(5)
    assert await queue.take(held=[missed]) == []
    assert await queue.slots([missed]) == [before[0] - 5_000_000]


async def test_a_held_job_that_another_worker_has_is_lost(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.end_leases()
    other = await queue.take_one(worker="other")
    [lease] = await queue.take(held=[missed])
    assert (lease.digest, lease.token, lease.verdict) == (missed.digest, missed.token, "lost")
    assert await queue.settle_script(other) == ["settled"]


async def test_a_held_job_that_was_settled_is_lost(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.settle_script(missed)
    assert [lease.verdict for lease in await queue.take(held=[missed])] == ["lost"]
    assert await queue.places("missed") == []


async def test_a_lost_job_takes_no_slot(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.settle_script(missed)
    permits = await queue.permits()
    await queue.take(held=[missed])
    assert await queue.permits() == permits


async def test_a_lost_job_is_told_even_while_the_fleet_is_paused(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.settle_script(missed)
    await queue.bucket.change("pause")
    assert [lease.verdict for lease in await queue.take(held=[missed])] == ["lost"]


async def test_a_held_job_whose_lease_ended_comes_anew(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.end_leases()
    lost, anew = await queue.take(held=[missed])
    assert (lost.verdict, lost.token) == ("lost", missed.token)
    assert (anew.verdict, anew.digest, anew.deliveries) == ("", missed.digest, 2)
    assert anew.token > missed.token


async def test_a_lost_reply_leaves_a_held_job_with_its_worker(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.take(held=[missed], heard=False)
    await queue.take(0)
    assert await queue.places("missed") == ["leased"]
    assert await queue.settle_script(missed) == ["settled"]


async def test_after_a_lost_reply_a_held_job_is_served_again(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.take(held=[missed], heard=False)
    [lease] = await queue.take(held=[missed])
    assert (lease.token, lease.deliveries) == (missed.token, 1)


async def test_a_lost_reply_gives_back_what_came_with_the_held_job(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.submit("a")
    await queue.take(held=[missed], heard=False)
    await queue.take(0)
    assert await queue.places("a") == ["ready:batch"]
    assert await queue.deliveries("a") == 0


async def test_a_held_suspect_is_served_alone(queue: QueueUnderTest) -> None:
    await queue.submit("suspect")
    for _ in range(2):
        await queue.die_with("suspect")
    missed = await queue.take_one()
    await queue.submit("a")
    leases = await queue.take(8, held=[missed], suspects=1)
    assert queue.names(leases) == ["suspect"]


async def test_a_held_job_past_its_deadline_is_left_to_its_worker(queue: QueueUnderTest) -> None:
    await queue.submit("missed", deadline_s=5)
    missed = await queue.take_one()
    await queue.pass_time(6)
    [lease] = await queue.take(held=[missed])
    assert (lease.verdict, lease.token) == ("", missed.token)


async def test_a_held_job_can_be_released(queue: QueueUnderTest) -> None:
    missed = await missed_one(queue)
    await queue.take(held=[missed])
    assert await queue.jobs.release([missed]) == 1
    assert await queue.deliveries("missed") == 0


async def missed_one(queue: QueueUnderTest) -> Lease:
    """Lease a job whose slot its worker will miss."""
    await queue.submit("missed")
    return await queue.take_one()
