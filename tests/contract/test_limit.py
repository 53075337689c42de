"""The limit of a running fleet: what workers offer, an operator overrules; a change wakes all."""

import pytest
from support.queue_under_test import FASTEST_RPM, ONE_SLOT_RPM, QueueUnderTest
from support.stored_queue import gaps

from weighbridge.bucket import Bucket, Refusal, interval_us

pytestmark = pytest.mark.asyncio

WORKERS = ["one", "two", "three"]


async def test_a_starting_worker_sets_the_rate(queue: QueueUnderTest) -> None:
    limit = await worker_at(queue, 700).offer()
    assert (limit.interval_us, limit.by_operator) == (interval_us(700), False)
    assert await queue.interval_in_force() == interval_us(700)


async def test_the_last_worker_that_starts_sets_the_rate(queue: QueueUnderTest) -> None:
    await worker_at(queue, 700).offer()
    await worker_at(queue, 900).offer()
    assert (await queue.bucket.inspect()).rpm == 900


async def test_an_operators_rate_stays_whatever_workers_offer(queue: QueueUnderTest) -> None:
    await queue.bucket.change("set", rpm=700)
    limit = await worker_at(queue, 900).offer()
    assert (limit.interval_us, limit.by_operator) == (interval_us(700), True)
    assert await queue.interval_in_force() == interval_us(700)


async def test_an_operator_may_set_the_rate_again(queue: QueueUnderTest) -> None:
    await queue.bucket.change("set", rpm=700)
    await queue.bucket.change("set", rpm=500)
    state = await queue.bucket.inspect()
    assert (state.rpm, state.by_operator) == (500, True)


async def test_a_released_rate_is_what_workers_offered_last(queue: QueueUnderTest) -> None:
    await worker_at(queue, 900).offer()
    await queue.bucket.change("set", rpm=700)
    await worker_at(queue, 800).offer()
    limit = await queue.bucket.change("release")
    assert (limit.interval_us, limit.by_operator) == (interval_us(800), False)


async def test_after_a_release_workers_set_the_rate_again(queue: QueueUnderTest) -> None:
    await queue.bucket.change("set", rpm=700)
    await queue.bucket.change("release")
    await worker_at(queue, 900).offer()
    assert (await queue.bucket.inspect()).rpm == 900


async def test_no_call_starts_while_an_operator_holds_the_fleet(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    assert (await queue.bucket.change("pause")).paused
    await queue.pass_time(3600)
    for worker in WORKERS:
        assert await queue.take(8, worker=worker) == []
    assert (await queue.bucket.inspect()).paused
    assert await queue.permits() == 0


async def test_a_paused_worker_is_not_told_to_come_back_at_once(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await queue.bucket.change("pause")
    assert (await queue.visit(8)).visit_us > 0


async def test_jobs_expire_while_an_operator_holds_the_fleet(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=5)
    await queue.bucket.change("pause")
    await queue.pass_time(6)
    assert (await queue.take_one()).verdict == "expired"


async def test_a_starting_worker_does_not_end_an_operators_pause(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await queue.bucket.change("pause")
    assert (await queue.bucket.offer()).paused
    assert await queue.take(8) == []


async def test_a_rate_set_during_a_pause_does_not_end_it(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await queue.bucket.change("pause")
    assert (await queue.bucket.change("set", rpm=FASTEST_RPM)).paused
    assert await queue.take(8) == []


async def test_a_resumed_fleet_calls_at_once(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await queue.bucket.change("pause")
    await queue.take(8)
    limit = await queue.bucket.change("resume")
    assert not limit.paused
    assert len(await queue.take(8)) == 5


async def test_a_resume_is_no_burst(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(20)
    leases = await queue.take_many(20)
    await queue.bucket.change("pause")
    await queue.bucket.change("resume")
    leases += await queue.take_many(20)
    assert min(gaps(await queue.slots(leases))) >= 1_000_000


async def test_a_new_rate_counts_from_the_next_slot_on(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(20)
    await queue.set_rate(ONE_SLOT_RPM // 2)
    assert gaps(await queue.slots(await queue.take_many(20))) == [2_000_000]


async def test_a_raised_rate_does_not_wait_for_the_slots_of_the_old_one(
    queue: QueueUnderTest,
) -> None:
    await queue.set_rate(1)
    await queue.submit_many(20)
    await queue.take_many(8)
    await queue.set_rate(6_000)
    await queue.take(8)
    await queue.pass_time(0.2)
    assert await queue.take(8) != []


async def test_a_raised_rate_voids_the_turns_promised(queue: QueueUnderTest) -> None:
    await queue.set_rate(6)
    await queue.submit_many(40)
    for number in range(20):
        before = await queue.visit(worker=f"worker-{number}", turn_us=None)
    await queue.set_rate(12)
    after = await queue.visit(worker="worker-19", turn_us=before.visit_us)
    assert before.visit_us > 150_000_000
    assert after.visit_us < 30_000_000


async def test_a_change_of_the_limit_wakes_every_worker(queue: QueueUnderTest) -> None:
    for worker in WORKERS:
        await queue.visit(worker=worker)
    await queue.set_rate(6_000)
    assert await queue.redis.llen(queue.keys.doorbell) == 3


async def test_a_resume_wakes_every_worker(queue: QueueUnderTest) -> None:
    for worker in WORKERS:
        await queue.visit(worker=worker)
    await queue.bucket.change("resume")
    assert await queue.redis.llen(queue.keys.doorbell) == 3


async def test_a_fleet_starts_slowly_after_ten_idle_seconds(queue: QueueUnderTest) -> None:
    await slow_start_fleet(queue)
    await queue.pass_time(11)
    assert await queue.interval_in_force() == 4_000_000


async def test_a_first_start_is_a_slow_one(queue: QueueUnderTest) -> None:
    await worker_at(queue, ONE_SLOT_RPM).offer(slow_start=0.25)
    assert await queue.interval_in_force() == 4_000_000


async def test_idle_visits_do_not_hide_idleness(queue: QueueUnderTest) -> None:
    await slow_start_fleet(queue)
    for _ in range(20):
        await queue.take()
        await queue.pass_time(5)
    assert await queue.interval_in_force() == 4_000_000


async def test_a_busy_fleet_is_not_slowed(queue: QueueUnderTest) -> None:
    await slow_start_fleet(queue)
    await queue.pass_time(8)
    assert await queue.interval_in_force() == 1_000_000


async def test_the_rate_grows_to_the_whole_within_a_minute_of_work(queue: QueueUnderTest) -> None:
    await slow_start_fleet(queue)
    await queue.submit_many(60)
    await queue.pass_time(11)
    for _ in range(10):
        await queue.take()
        await queue.pass_time(5)
    assert await queue.interval_in_force() == 1_000_000


async def test_every_idleness_ends_in_a_slow_start(queue: QueueUnderTest) -> None:
    await slow_start_fleet(queue)
    for number in range(3):
        await queue.pass_time(100)
        assert await queue.interval_in_force() == 4_000_000
        await queue.submit(f"work-{number}")
        await queue.take_one()


async def test_a_slow_start_does_not_undo_a_deeper_cut(queue: QueueUnderTest) -> None:
    await slow_start_fleet(queue)
    for generation in range(2):
        await queue.bucket.penalise(Refusal(30, generation, ramp=True))
    for _ in range(2):
        await queue.pass_time(12)
        assert await queue.interval_in_force() == 16_000_000


async def test_a_cut_regrows_up_to_the_slow_start_while_the_fleet_is_idle(
    queue: QueueUnderTest,
) -> None:
    await slow_start_fleet(queue)
    for generation in range(2):
        await queue.bucket.penalise(Refusal(1, generation, ramp=True))
    for _ in range(20):
        await queue.visit()
        await queue.pass_time(1)
    assert await queue.interval_in_force() == 4_000_000


async def test_without_the_setting_no_start_is_slow(queue: QueueUnderTest) -> None:
    await worker_at(queue, ONE_SLOT_RPM).offer()
    await queue.submit_many(5)
    await queue.take()
    await queue.pass_time(100)
    assert await queue.interval_in_force() == 1_000_000


def worker_at(queue: QueueUnderTest, rpm: int) -> Bucket:
    """Return the bucket as a worker with this setting sees it."""
    return Bucket(queue.hands.worker, queue.keys, queue.scripts, rpm=rpm)


async def slow_start_fleet(queue: QueueUnderTest) -> None:
    """Set a quarter as the slow start of a fleet that is at its full rate now."""
    await worker_at(queue, ONE_SLOT_RPM).offer()
    await queue.submit("first")
    await queue.take_one()
    await worker_at(queue, ONE_SLOT_RPM).offer(slow_start=0.25)
