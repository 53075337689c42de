"""Headers: the endpoint's own limit is adopted where it is lower, and never where it is higher."""

import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest
from support.stored_queue import gaps

from weighbridge.bucket import Refusal

pytestmark = pytest.mark.asyncio


async def test_a_lower_limit_is_adopted(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    assert await queue.bucket.observe(limit=30, low=False) == 2_000_000
    assert await queue.interval_in_force() == 2_000_000
    assert (await queue.bucket.inspect()).seen_rpm == 30


async def test_slots_keep_to_a_lower_limit(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(5)
    await queue.bucket.observe(limit=30, low=False)
    assert gaps(await queue.slots(await queue.take_many(5))) == [2_000_000]


@pytest.mark.parametrize("limit", [60, 61, 20_000])
async def test_a_higher_limit_is_not_adopted(queue: QueueUnderTest, limit: int) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    assert await queue.bucket.observe(limit=limit, low=False) == 1_000_000
    assert await queue.interval_in_force() == 1_000_000
    assert (await queue.bucket.inspect()).seen_rpm == 0


async def test_a_limit_that_is_not_told_changes_nothing(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    assert await queue.bucket.observe(limit=0, low=False) == 1_000_000


async def test_a_lower_limit_is_believed_for_ten_minutes(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.bucket.observe(limit=30, low=False)
    await queue.pass_time(590)
    assert await queue.interval_in_force() == 2_000_000
    await queue.pass_time(20)
    assert await queue.interval_in_force() == 1_000_000


async def test_a_limit_seen_again_is_believed_for_longer(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    for _ in range(3):
        await queue.bucket.observe(limit=30, low=False)
        await queue.pass_time(400)
    assert await queue.interval_in_force() == 2_000_000


async def test_the_limit_seen_last_counts(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.bucket.observe(limit=20, low=False)
    assert await queue.bucket.observe(limit=30, low=False) == 2_000_000


async def test_an_operator_does_not_exceed_what_the_endpoint_allows(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.bucket.observe(limit=30, low=False)
    await queue.set_rate(600)
    assert await queue.interval_in_force() == 2_000_000


async def test_a_rate_set_below_the_endpoints_counts(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.bucket.observe(limit=30, low=False)
    await queue.set_rate(10)
    assert await queue.interval_in_force() == 6_000_000


async def test_a_clock_that_jumps_back_does_not_prolong_belief(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.bucket.observe(limit=30, low=False)
    await queue.pass_time(-3600)
    assert await queue.interval_in_force() == 1_000_000


async def test_a_bucket_of_theirs_that_runs_low_slows_the_fleet_a_little(
    queue: QueueUnderTest,
) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    assert await queue.bucket.observe(limit=0, low=True) == 1_111_112  # nine tenths of the rate


async def test_many_warnings_within_a_second_count_once(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    for _ in range(10):
        interval = await queue.bucket.observe(limit=0, low=True)
    assert 1_080_000 < interval <= 1_111_112


async def test_a_warning_in_the_next_second_slows_the_fleet_further(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.bucket.observe(limit=0, low=True)
    await queue.pass_time(1)
    assert await queue.bucket.observe(limit=0, low=True) > 1_180_000


async def test_the_rate_regrows_after_a_warning(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.bucket.observe(limit=0, low=True)
    await queue.pass_time(6)
    assert await queue.interval_in_force() == 1_000_000


async def test_a_warning_during_a_pause_cuts_no_more(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.bucket.penalise(Refusal(30, generation=0))
    assert await queue.bucket.observe(limit=0, low=True) == 1_111_112


async def test_a_warning_begins_no_generation(queue: QueueUnderTest) -> None:
    await queue.bucket.observe(limit=0, low=True)
    assert (await queue.visit()).generation == 0
