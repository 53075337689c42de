"""The shared bucket: slots an interval apart over all workers, nothing saved up, nothing wasted."""

import pytest
from support.queue_under_test import FASTEST_RPM, ONE_SLOT_RPM, QueueUnderTest
from support.stored_queue import gaps

from weighbridge.bucket import interval_us
from weighbridge.records import Lane, Lease

pytestmark = pytest.mark.asyncio

HORIZON_US = 100_000


async def test_an_empty_bucket_has_saved_nothing_up(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(20)
    slots = await queue.slots(await queue.take_many(20))
    assert gaps(slots) == [1_000_000]


async def test_the_first_slot_of_an_empty_bucket_is_now(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(20)
    assert (await queue.take(20))[0].slot_us == 0


async def test_a_bucket_that_stood_idle_has_saved_nothing_up(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(20)
    await queue.take_many(20)
    await queue.pass_time(5)
    leases = await queue.take_many(20)
    assert leases[0].slot_us == 0
    assert gaps(await queue.slots(leases)) == [1_000_000]


async def test_a_workers_own_rate_counts_where_the_bucket_has_none(queue: QueueUnderTest) -> None:
    await queue.redis.delete(queue.keys.bucket)
    await queue.submit_many(2)
    first = await queue.visit(interval_us=700_000)
    second = await queue.visit(interval_us=700_000)
    assert gaps(await queue.slots([*first.leases, *second.leases])) == [700_000]


@pytest.mark.parametrize("rpm", [60_000, 600_000, FASTEST_RPM])
async def test_the_slots_of_one_visit_are_exactly_an_interval_apart(
    queue: QueueUnderTest, rpm: int
) -> None:
    await queue.set_rate(rpm)
    await queue.submit_many(8)
    slots = await queue.slots(await queue.take(8))
    assert gaps(slots) == [interval_us(rpm)] * (len(slots) - 1)
    assert len(slots) >= 2


async def test_slots_are_exactly_an_interval_apart_over_several_workers(
    queue: QueueUnderTest,
) -> None:
    await queue.set_rate(10)
    await queue.submit_many(12)
    leases = await queue.take(2, lease_s=200)
    for visit in range(10):
        leases += await queue.take(2, worker=f"worker-{visit % 3}", lease_s=200)
        await queue.pass_time(6)
    assert gaps(await queue.slots(leases, lease_s=200)) == [6_000_000] * 10


@pytest.mark.parametrize("rpm", [3_000, 60_000])
async def test_slots_are_never_less_than_an_interval_apart(queue: QueueUnderTest, rpm: int) -> None:
    await queue.set_rate(rpm)
    await queue.submit_many(60)
    leases = []
    for visit in range(12):
        leases += await queue.take(4, worker=f"worker-{visit % 4}")
        await queue.pass_time(0.03)
    assert len(leases) >= 12
    assert min(gaps(await queue.slots(leases))) >= interval_us(rpm)


@pytest.mark.parametrize("rpm", [600, 3_000, 60_000])
async def test_no_slot_lies_beyond_the_horizon(queue: QueueUnderTest, rpm: int) -> None:
    await queue.set_rate(rpm)
    await queue.submit_many(120)
    leases = await queue.take(120)
    assert 1 <= len(leases) <= HORIZON_US / interval_us(rpm) + 1
    assert max(lease.slot_us for lease in leases) <= HORIZON_US


@pytest.mark.parametrize("rpm", [1, 60, 300, 599])
async def test_at_low_rates_the_next_slot_is_granted_to_whose_turn_it_is(
    queue: QueueUnderTest, rpm: int
) -> None:
    await queue.set_rate(rpm)
    await queue.submit_many(3)
    await queue.take()
    await queue.pass_time(interval_us(rpm) / 1_000_000)
    [lease] = await queue.take()
    assert lease.slot_us <= interval_us(rpm)


@pytest.mark.parametrize("rpm", [10, 60])
async def test_at_low_rates_no_slot_lies_further_than_an_interval_ahead(
    queue: QueueUnderTest, rpm: int
) -> None:
    await queue.set_rate(rpm)
    await queue.submit_many(10)
    leases = await queue.take_many(10)
    assert [lease.slot_us > 0 for lease in leases] == [False, True]
    assert leases[1].slot_us <= interval_us(rpm)
    assert await queue.take(10, worker="other") == []


@pytest.mark.parametrize("lead_us", [20_000, 100_000])
async def test_a_slow_worker_gets_no_slot_nearer_than_its_lead(
    queue: QueueUnderTest, lead_us: int
) -> None:
    await queue.set_rate(6_000)
    await queue.submit_many(8)
    reply = await queue.visit(8, lead_us=lead_us)
    assert reply.leases[0].slot_us == lead_us


async def test_no_lead_passes_the_horizon(queue: QueueUnderTest) -> None:
    await queue.set_rate(6_000)
    await queue.submit_many(8)
    reply = await queue.visit(8, lead_us=60_000_000)
    assert [lease.slot_us for lease in reply.leases] == [HORIZON_US]


async def test_a_slow_worker_brings_nobodys_slots_closer_together(queue: QueueUnderTest) -> None:
    await queue.set_rate(600)
    await queue.submit_many(8)
    leases: list[Lease] = []
    for lead_us in (100_000, 0, 50_000, 0):
        leases += (await queue.visit(lead_us=lead_us)).leases
        await queue.pass_time(0.1)
    assert min(gaps(await queue.slots(leases))) >= 100_000


async def test_an_empty_queue_spends_no_permit(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.take(8)
    assert await queue.permits() == 0
    await queue.submit_many(1)
    assert (await queue.take_one()).slot_us == 0


async def test_fewer_jobs_than_wanted_spend_a_permit_each(queue: QueueUnderTest) -> None:
    await queue.submit_many(3)
    await queue.take(8)
    assert await queue.permits() == 3


async def test_a_worker_that_wants_nothing_gets_nothing(queue: QueueUnderTest) -> None:
    await queue.submit_many(3)
    assert await queue.take(0) == []
    assert await queue.permits() == 0


async def test_priority_is_decided_at_the_slot(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(5)
    await queue.take_many(8)
    await queue.submit("quick", lane=Lane.INTERACTIVE)
    await queue.pass_time(1)
    assert queue.names(await queue.take()) == ["quick"]


async def test_a_lost_bucket_bursts_no_more_than_its_horizon(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(20)
    await queue.take_many(20)
    await queue.redis.delete(queue.keys.bucket)
    slots = [
        lease.slot_us
        for _ in range(5)
        for lease in (await queue.visit(20, interval_us=1_000_000)).leases
    ]
    assert len(slots) == 2


async def test_a_lost_bucket_never_repeats_a_token(queue: QueueUnderTest) -> None:
    await queue.submit_many(2)
    first = await queue.take_one()
    await queue.redis.delete(queue.keys.bucket)
    assert (await queue.take_one()).token > first.token


@pytest.mark.parametrize("rpm", [60, 600, 6_000])
async def test_a_clock_that_jumps_back_does_not_stall_the_fleet(
    queue: QueueUnderTest, rpm: int
) -> None:
    await queue.set_rate(rpm)
    await queue.submit_many(40)
    await queue.take(1)
    await queue.pass_time(-3600)
    granted = 0
    for _ in range(4):
        granted += len(await queue.take(1))
        await queue.pass_time(interval_us(rpm) / 1_000_000)
    assert granted >= 2


@pytest.mark.parametrize("rpm", [60, 600])
async def test_a_clock_that_jumps_back_grants_no_burst(queue: QueueUnderTest, rpm: int) -> None:
    await queue.set_rate(rpm)
    await queue.submit_many(40)
    await queue.take_many(40)
    await queue.pass_time(-3600)
    assert len(await queue.take_many(40)) <= 2


async def test_a_clock_that_jumps_forward_grants_no_burst(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(40)
    await queue.take_many(40)
    await queue.pass_time(3600)
    assert len(await queue.take_many(40)) == 2


async def test_a_reply_says_when_to_come_back_for_the_next_slot(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(5)
    await queue.take()
    reply = await queue.visit()
    assert 0 < reply.visit_us <= interval_us(ONE_SLOT_RPM)


async def test_a_reply_says_what_the_interval_is(queue: QueueUnderTest) -> None:
    await queue.set_rate(7)
    assert (await queue.visit()).interval_us == interval_us(7)


async def test_permits_are_counted(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await queue.take(3)
    state = await queue.bucket.inspect()
    assert (state.granted, round(state.used_rpm)) == (3, 3)
