"""Outages: where most calls fail the fleet holds, probes, and comes back by itself."""

import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest

from weighbridge.bucket import FAILING
from weighbridge.exchange import Calls, TakeReply

pytestmark = pytest.mark.asyncio

SECOND_US = 1_000_000
MOSTLY = 20


async def test_twenty_failures_more_than_answers_hold_the_fleet(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    assert (await report(queue, failed=MOSTLY - 1)).hold == ""
    assert (await report(queue, failed=1)).hold == FAILING
    assert (await queue.bucket.inspect()).hold == FAILING


async def test_the_failures_of_all_workers_count(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    for worker in range(MOSTLY - 1):
        assert (await report(queue, failed=1, worker=f"worker-{worker}")).hold == ""
    assert (await report(queue, failed=1, worker="last")).hold == FAILING


async def test_answers_make_up_for_failures(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    for _ in range(100):
        assert (await report(queue, answered=6, failed=5)).hold == ""
    assert (await report(queue, failed=MOSTLY - 1)).hold == ""


async def test_answers_are_not_saved_up(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await report(queue, answered=1_000)
    assert (await report(queue, failed=MOSTLY)).hold == FAILING


async def test_at_a_high_rate_it_takes_half_a_second_of_failures(queue: QueueUnderTest) -> None:
    await queue.set_rate(6_000)
    assert (await report(queue, failed=49)).hold == ""
    assert (await report(queue, failed=1)).hold == FAILING


async def test_the_visit_that_begins_a_hold_says_so_and_gets_nothing(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(5)
    replies = [await report(queue, failed=MOSTLY, want=8, worker=name) for name in ("one", "two")]
    assert [reply.outage for reply in replies] == [True, False]
    assert [len(reply.leases) for reply in replies] == [0, 0]


async def test_calls_from_before_the_last_penalty_tell_nothing_new(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await report(queue, failed=MOSTLY)
    await queue.bucket.probed()
    assert (await report(queue, failed=MOSTLY, generation=0)).hold == ""
    assert (await report(queue, failed=MOSTLY, generation=1)).hold == FAILING


async def test_failures_during_a_hold_do_not_begin_the_next_one(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await report(queue, failed=MOSTLY)
    assert not (await report(queue, failed=MOSTLY, generation=1)).outage
    await queue.bucket.probed()
    assert (await report(queue, failed=MOSTLY - 1, generation=1)).hold == ""


async def test_probes_go_at_growing_intervals_of_a_minute_at_most(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(20)
    await report(queue, failed=MOSTLY)
    probed_at = []
    for second in range(250):
        if await queue.take(8):
            probed_at.append(second)
        await queue.pass_time(1)
    assert probed_at == [1, 2, 4, 8, 16, 32, 64, 124, 184, 244]


async def test_a_probe_that_succeeds_brings_half_the_rate_back(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await report(queue, failed=MOSTLY)
    await queue.pass_time(600)
    await queue.bucket.probed()
    assert await queue.interval_in_force() == pytest.approx(2 * SECOND_US, rel=0.05)
    await queue.pass_time(15)
    assert await queue.interval_in_force() == pytest.approx(SECOND_US / 0.75, rel=0.05)
    await queue.pass_time(16)
    assert await queue.interval_in_force() == SECOND_US


async def test_the_next_hold_begins_with_short_waits_and_a_lower_rate(
    queue: QueueUnderTest,
) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(5)
    for generation in range(2):
        await report(queue, failed=MOSTLY, generation=generation)
        await queue.pass_time(1)
        assert len(await queue.take(8)) == 1
        await queue.bucket.probed()
    assert await queue.interval_in_force() == pytest.approx(4 * SECOND_US, rel=0.2)


async def test_the_end_of_another_hold_cuts_nothing(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.bucket.probed()
    assert await queue.interval_in_force() == SECOND_US


async def test_a_lost_bucket_forgets_the_outage(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await report(queue, failed=MOSTLY)
    await queue.redis.delete(queue.keys.bucket)
    assert (await queue.visit()).hold == ""


async def test_a_failed_probe_goes_behind_its_neighbours_unharmed(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b", "c")
    [probe] = await queue.take()
    assert await queue.jobs.release([probe], behind=True) == 1
    again = await queue.take_many(3)
    assert queue.names(again) == ["b", "c", "a"]
    assert [(lease.attempts, lease.deliveries) for lease in again] == [(0, 1)] * 3


async def test_two_jobs_that_fail_take_turns(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    order = []
    for _ in range(6):
        [probe] = await queue.take()
        order += queue.names([probe])
        await queue.jobs.release([probe], behind=True)
    assert order == ["a", "b"] * 3


async def test_a_failed_probe_waits_for_a_hundred_jobs_at_most(queue: QueueUnderTest) -> None:
    await queue.submit("probe", *(f"job-{number}" for number in range(300)))
    [probe] = await queue.take()
    await queue.jobs.release([probe], behind=True)
    assert (await queue.work_off()).index("probe") == 100


async def test_only_a_lease_that_holds_goes_behind(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    [probe] = await queue.take()
    await queue.end_leases("a")
    assert queue.names(await queue.take(worker="two")) == ["a"]
    assert await queue.jobs.release([probe], behind=True) == 0


async def report(
    queue: QueueUnderTest,
    *,
    answered: int = 0,
    failed: int = 0,
    generation: int = 0,
    want: int = 0,
    worker: str = "worker",
) -> TakeReply:
    """Visit and tell how one's calls went."""
    return await queue.visit(want, worker=worker, calls=Calls(answered, failed, generation))
