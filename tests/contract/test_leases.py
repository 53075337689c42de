"""Leases end, retries fall due, clocks jump: every job comes back, and none too early."""

import pytest
from support.queue_under_test import QueueUnderTest

from weighbridge.records import Lane

pytestmark = pytest.mark.asyncio

HOUR_S = 3600
LONGEST_LEASE_S = 240


async def test_a_job_whose_lease_ended_goes_to_the_next_worker(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take(worker="dead")
    await queue.end_leases()
    assert queue.names(await queue.take(worker="alive")) == ["a"]


async def test_a_job_whose_lease_runs_goes_to_nobody_else(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take(worker="one")
    assert await queue.take(worker="two") == []


async def test_an_ended_lease_counts_as_a_delivery(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.die_with("a")
    assert (await queue.take_one()).deliveries == 2


async def test_a_lease_that_ended_unnoticed_can_still_be_settled(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    await queue.end_leases()
    assert await queue.settle_script(lease) == ["settled"]


async def test_jobs_of_ended_leases_go_back_to_their_own_lane_and_place(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a", "b", "c", lane=Lane.INTERACTIVE)
    await queue.submit("d", "e")
    await queue.take(2)
    await queue.end_leases()
    await queue.take(0)
    assert await queue.ready(Lane.INTERACTIVE) == ["a", "b", "c"]
    assert await queue.ready(Lane.BATCH) == ["d", "e"]


async def test_a_visit_returns_at_most_32_ended_leases(queue: QueueUnderTest) -> None:
    await queue.submit(*(f"job-{number}" for number in range(40)))
    await queue.take(40)
    await queue.end_leases()
    await queue.take(0)
    assert len(await queue.ready()) == 32
    await queue.take(0)
    assert len(await queue.ready()) == 40


async def test_a_visit_returns_at_most_32_due_retries(queue: QueueUnderTest) -> None:
    names = [f"job-{number}" for number in range(40)]
    await queue.submit(*names)
    for lease in await queue.take(40):
        await queue.jobs.retry(lease, 60)
    await queue.make_due(*names)
    await queue.take(0)
    assert len(await queue.ready()) == 32


async def test_interactive_work_does_not_wait_behind_ended_batch_leases(
    queue: QueueUnderTest,
) -> None:
    await queue.submit(*(f"job-{number}" for number in range(40)))
    await queue.take(40)
    await queue.end_leases()
    await queue.submit("quick", lane=Lane.INTERACTIVE)
    assert queue.names(await queue.take()) == ["quick"]


async def test_a_retry_comes_back_after_its_delay(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.jobs.retry(await queue.take_one(), 60)
    await queue.pass_time(50)
    assert await queue.take() == []
    await queue.pass_time(11)
    assert queue.names(await queue.take()) == ["a"]


async def test_a_due_retry_pays_like_everyone_else(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.jobs.retry(await queue.take_one(), 0)
    await queue.take()
    assert await queue.permits() == 2


async def test_a_reply_tells_when_the_next_retry_falls_due(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    first, second = await queue.take(2)
    await queue.jobs.retry(first, 20)
    await queue.jobs.retry(second, 10)
    due_us = (await queue.visit()).due_us
    assert due_us is not None
    assert 5_000_000 < due_us <= 10_000_000


async def test_a_reply_tells_when_the_next_lease_ends(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    due_us = (await queue.visit(lease_s=20)).due_us
    assert due_us is not None
    assert 15_000_000 < due_us <= 21_000_000


async def test_nothing_falls_due_in_an_empty_queue(queue: QueueUnderTest) -> None:
    assert (await queue.visit()).due_us is None


async def test_a_reply_tells_how_many_jobs_are_left(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b", "c")
    await queue.submit("d", lane=Lane.INTERACTIVE)
    assert (await queue.visit()).left == 3


async def test_after_an_outage_ended_leases_are_left_for_their_workers_to_settle(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    lease = await queue.take_one(worker="slow")
    await queue.pass_time(60)
    assert await queue.take(worker="quick") == []
    assert await queue.settle_script(lease) == ["settled"]


async def test_a_few_seconds_after_an_outage_ended_leases_go_to_others(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    await queue.take(worker="dead")
    await queue.pass_time(60)
    await queue.take(worker="alive")
    await queue.pass_time(6)
    assert queue.names(await queue.take(worker="alive")) == ["a"]


async def test_the_grace_after_an_outage_does_not_start_over_with_each_visit(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    await queue.take(worker="dead")
    await queue.pass_time(60)
    for _ in range(4):
        assert await queue.take(worker="alive") == []
        await queue.pass_time(1.2)
    await queue.pass_time(2)
    assert queue.names(await queue.take(worker="alive")) == ["a"]


async def test_waiting_jobs_are_handed_out_during_the_grace(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    await queue.take()
    await queue.pass_time(60)
    assert queue.names(await queue.take()) == ["b"]


async def test_a_clock_that_jumps_back_does_not_freeze_leases(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take(worker="dead")
    await queue.pass_time(-HOUR_S)
    await queue.take(0, worker="alive")
    assert await queue.places("a") == ["ready:batch"]


async def test_a_clock_that_jumps_back_does_not_freeze_retries(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.jobs.retry(await queue.take_one(), 30)
    await queue.pass_time(-HOUR_S)
    await queue.take(0)
    assert await queue.places("a") == ["ready:batch"]


async def test_a_clock_that_jumps_back_expires_nothing(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=60)
    await queue.pass_time(-HOUR_S)
    await queue.take(0)
    await queue.pass_time(0.2)
    assert (await queue.take_one()).verdict == ""


async def test_a_clock_that_jumps_forward_leaves_workers_time_to_settle(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    await queue.pass_time(HOUR_S)
    await queue.take(worker="other")
    assert await queue.settle_script(lease) == ["settled"]


async def test_a_longer_lease_of_another_worker_is_no_trace_of_a_clock_step(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    await queue.take(worker="patient", lease_s=LONGEST_LEASE_S)
    assert await queue.take(worker="hasty", lease_s=1) == []
