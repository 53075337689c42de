"""Penalties: one pause and one cut for all the 429s of a generation, then the rate regrows."""

import anyio
import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest
from support.stored_queue import gaps

from weighbridge.bucket import Refusal

pytestmark = pytest.mark.asyncio

SECOND_US = 1_000_000


async def test_a_penalty_pauses_all_workers(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await penalise(queue, 30)
    assert await queue.take(8, worker="one") == []
    assert await queue.take(8, worker="two") == []
    assert await queue.permits() == 0


async def test_a_penalty_ends(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await penalise(queue, 30)
    await queue.pass_time(30)
    assert len(await queue.take_many(5)) == 5


async def test_no_slot_is_granted_before_the_pause_ends(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(5)
    await penalise(queue, 30)
    await queue.pass_time(29.5)
    slots = await queue.slots(await queue.take(8))
    blocked_until = int(await queue.redis.hget(queue.keys.bucket, "blocked_until") or 0)
    assert min(slots) >= blocked_until > 0


async def test_the_end_of_a_pause_is_no_burst(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(20)
    await penalise(queue, 30)
    await queue.pass_time(40)
    slots = await queue.slots(await queue.take_many(20))
    assert len(slots) == 2
    assert min(gaps(slots)) >= SECOND_US


async def test_a_visit_during_a_pause_says_when_it_ends(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await penalise(queue, 30)
    assert 25 * SECOND_US < (await queue.visit(8)).visit_us <= 30 * SECOND_US


async def test_pauses_do_not_add_up(queue: QueueUnderTest) -> None:
    await penalise(queue, 20)
    await penalise(queue, 20)
    assert 15 < await blocked_s(queue) <= 20


@pytest.mark.parametrize("waits", [(5, 30, 10), (30, 5, 10), (5, 10, 30)])
async def test_the_longest_pause_counts(queue: QueueUnderTest, waits: tuple[int, ...]) -> None:
    for wait_s in waits:
        await penalise(queue, wait_s)
    assert 25 < await blocked_s(queue) <= 30


async def test_a_stale_429_may_make_the_pause_longer(queue: QueueUnderTest) -> None:
    await penalise(queue, 5)
    await penalise(queue, 30)
    assert 25 < await blocked_s(queue) <= 30


async def test_a_pause_lasts_a_minute_at_most(queue: QueueUnderTest) -> None:
    await penalise(queue, 4_294_967)
    assert 50 < await blocked_s(queue) <= 60


async def test_a_negative_wait_pauses_nobody(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await penalise(queue, -5)
    assert await queue.take(8) != []


async def test_a_clock_that_jumps_back_does_not_prolong_a_pause(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await penalise(queue, 30)
    await queue.pass_time(-3600)
    await queue.take(0)
    await queue.pass_time(0.2)
    assert await queue.take(8) != []


async def test_one_429_cuts_the_rate(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30)
    assert await queue.interval_in_force() == 1_111_112  # nine tenths of the rate


async def test_the_429s_of_one_generation_make_one_cut(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    begun = [await penalise(queue, 30) for _ in range(10)]
    assert begun == [True, *[False] * 9]
    assert await queue.interval_in_force() == 1_111_112


async def test_429s_that_arrive_together_make_one_cut(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(penalise, queue, 30)
    assert await queue.interval_in_force() == 1_111_112


async def test_a_lease_tells_its_calls_generation(queue: QueueUnderTest) -> None:
    assert (await queue.visit()).generation == 0
    await penalise(queue, 30)
    assert (await queue.visit()).generation == 1


async def test_a_429_below_the_last_one_cuts_deeper(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30)
    assert await penalise(queue, 30, generation=1)
    assert await queue.interval_in_force() == 1_388_889  # eight tenths of nine tenths


async def test_a_429_where_the_last_one_came_cuts_little(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30)
    await penalise(queue, 30, generation=1)
    await queue.pass_time(30 + 11)  # from 0.72 to the foot of the plateau
    assert SECOND_US / await queue.interval_in_force() == pytest.approx(0.9 * 0.97, abs=0.02)
    await penalise(queue, 0, generation=2)
    assert SECOND_US / await queue.interval_in_force() == pytest.approx(0.9 * 0.9 * 0.97, abs=0.02)


async def test_a_stale_generation_cuts_nothing(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30)
    await penalise(queue, 30, generation=1)
    for stale in (0, 1):
        assert not await penalise(queue, 30, generation=stale)
    assert await queue.interval_in_force() == 1_388_889


async def test_a_generation_from_before_the_bucket_was_lost_cuts_nothing(
    queue: QueueUnderTest,
) -> None:
    await penalise(queue, 30)
    await queue.redis.delete(queue.keys.bucket)
    await queue.set_rate(ONE_SLOT_RPM)
    assert not await penalise(queue, 30, generation=1)
    assert await queue.interval_in_force() == SECOND_US


async def test_a_ramp_limit_cuts_deeper(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30, ramp=True)
    assert await queue.interval_in_force() == 4 * SECOND_US


async def test_a_twentieth_of_the_rate_is_left_whatever_the_cuts(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    for generation in range(20):
        await penalise(queue, 30, generation=generation)
    assert await queue.interval_in_force() == 20 * SECOND_US


async def test_slots_after_a_cut_are_further_apart(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(5)
    await penalise(queue, 0, ramp=True)
    slots = await queue.slots(await queue.take_many(5))
    assert min(gaps(slots)) > 3 * SECOND_US


@pytest.mark.parametrize(
    ("after_s", "share"), [(0, 0.9), (3.6, 0.96), (45, 0.98), (90, 1), (120, 1)]
)
async def test_the_rate_regrows_from_the_end_of_the_pause_on_slowly_where_the_429_came(
    queue: QueueUnderTest, after_s: float, share: float
) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30)
    await queue.pass_time(30 + after_s)
    assert SECOND_US / await queue.interval_in_force() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(("after_s", "share"), [(0, 0.25), (15, 0.5), (30, 0.75), (45, 1)])
async def test_after_a_ramp_limit_it_regrows_in_one_line(
    queue: QueueUnderTest, after_s: float, share: float
) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30, ramp=True)
    await queue.pass_time(30 + after_s)
    assert SECOND_US / await queue.interval_in_force() == pytest.approx(share, abs=0.02)


async def test_a_rate_that_has_regrown_is_exactly_the_full_one(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30)
    await queue.pass_time(130)
    assert await queue.interval_in_force() == SECOND_US


async def test_a_later_429_cuts_what_has_regrown(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30)
    await queue.pass_time(130)
    await penalise(queue, 30, generation=1)
    assert await queue.interval_in_force() == 1_111_112


async def test_visits_during_a_pause_do_not_delay_the_regrowth(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30, ramp=True)
    for _ in range(20):
        await queue.visit()
        await queue.pass_time(4)
    assert await queue.interval_in_force() == SECOND_US


async def test_a_clock_that_jumps_back_does_not_freeze_a_cut(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await penalise(queue, 30)
    await queue.pass_time(-3600)
    await queue.visit()
    await queue.pass_time(100)
    assert await queue.interval_in_force() == SECOND_US


async def test_the_state_tells_of_the_pause_and_the_cut(queue: QueueUnderTest) -> None:
    await penalise(queue, 30)
    state = await queue.bucket.inspect()
    assert state.share == pytest.approx(0.9)
    assert 25 < state.blocked_s <= 30


async def penalise(
    queue: QueueUnderTest, wait_s: float, generation: int = 0, *, ramp: bool = False
) -> bool:
    """Report a 429; returns whether it began a new generation."""
    return await queue.bucket.penalise(Refusal(wait_s, generation, ramp=ramp))


async def blocked_s(queue: QueueUnderTest) -> float:
    """Return the seconds until the pause ends."""
    return (await queue.bucket.inspect()).blocked_s
