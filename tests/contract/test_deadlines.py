"""Deadlines: a job that nobody could count ends by an explicit verdict, wherever it stands."""

import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest

from weighbridge.bucket import Refusal
from weighbridge.records import Lane

pytestmark = pytest.mark.asyncio

DAY_S = 86_400


async def test_a_passed_deadline_is_a_verdict(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=5)
    await queue.pass_time(6)
    assert (await queue.take_one()).verdict == "expired"


async def test_a_deadline_ahead_is_none(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=10)
    await queue.pass_time(6)
    assert (await queue.take_one()).verdict == ""


async def test_a_job_deep_in_the_queue_expires_on_time(queue: QueueUnderTest) -> None:
    await queue.submit(*(f"job-{number}" for number in range(50)), lane=Lane.INTERACTIVE)
    await queue.submit("deep", deadline_s=5)
    await queue.pass_time(6)
    verdicts = {lease.digest: lease.verdict for lease in await queue.take()}
    assert verdicts[queue.digest("deep")] == "expired"


async def test_a_retry_expires_before_it_is_due(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=5)
    await queue.jobs.retry(await queue.take_one(), 60)
    await queue.pass_time(6)
    assert (await queue.take_one()).verdict == "expired"
    assert await queue.places("a") == ["leased"]


async def test_an_expiry_needs_no_permit(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=5)
    await queue.pass_time(6)
    await queue.take()
    assert await queue.permits() == 0


async def test_an_expiry_takes_no_slot_from_other_jobs(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit("a", deadline_s=5)
    await queue.submit("b", "c")
    await queue.pass_time(6)
    assert queue.names(await queue.take(8)) == ["a", "b"]


async def test_an_expiry_needs_no_free_place_at_the_worker(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=5)
    await queue.pass_time(6)
    assert len(await queue.take(0)) == 1


async def test_jobs_expire_during_a_pause_of_the_fleet(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=5)
    await queue.bucket.penalise(Refusal(30, generation=0))
    await queue.pass_time(6)
    assert (await queue.take_one()).verdict == "expired"


async def test_a_visit_sweeps_a_few_deadlines(queue: QueueUnderTest) -> None:
    await queue.submit(*(f"job-{number}" for number in range(40)), deadline_s=5)
    await queue.pass_time(6)
    assert len(await queue.take(0)) == 16


async def test_a_leased_job_is_left_to_its_worker(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=5)
    lease = await queue.take_one()
    await queue.pass_time(6)
    assert await queue.take(worker="other") == []
    assert await queue.settle_script(lease) == ["settled"]


async def test_a_job_that_expired_while_leased_ends_when_its_lease_does(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a", deadline_s=5)
    await queue.take(worker="dead")
    await queue.pass_time(6)
    await queue.take(worker="alive")
    await queue.end_leases()
    await queue.pass_time(30)
    await queue.take(worker="alive")
    await queue.pass_time(6)
    assert (await queue.take_one(worker="alive")).verdict == "expired"


async def test_leased_jobs_past_their_deadline_hide_no_others(queue: QueueUnderTest) -> None:
    await queue.submit(*(f"busy-{number}" for number in range(20)), deadline_s=5)
    await queue.take(20)
    await queue.submit("waiting", deadline_s=5)
    await queue.pass_time(6)
    swept = [*await queue.take(0), *await queue.take(0)]
    assert queue.names(swept) == ["waiting"]


async def test_an_expired_job_that_is_settled_leaves_only_a_dead_letter(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a", deadline_s=5)
    await queue.pass_time(6)
    await queue.fail(await queue.take_one(), code="expired")
    assert await queue.depth() == 0
    assert await queue.places("a") == []
    assert await queue.redis.xlen(queue.keys.dead) == 1
    assert await queue.redis.pttl(queue.keys.payload(queue.digest("a"))) > 0


async def test_an_expiry_whose_worker_died_is_swept_again(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=5)
    await queue.pass_time(6)
    await queue.take(worker="dead")
    await queue.end_leases()
    await queue.pass_time(0)
    assert (await queue.take_one(worker="alive")).verdict == "expired"


async def test_an_expiry_that_was_released_stays_expired(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=5)
    await queue.pass_time(6)
    await queue.jobs.release([await queue.take_one()])
    assert (await queue.take_one()).verdict == "expired"


async def test_a_clock_set_back_by_days_expires_nothing(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.pass_time(-3 * DAY_S)
    await queue.take(0)
    await queue.pass_time(0.2)
    assert (await queue.take_one()).verdict == ""


async def test_a_clock_set_back_by_days_leaves_a_day_to_every_job(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=60)
    await queue.pass_time(-3 * DAY_S)
    await queue.take(0)
    await queue.pass_time(DAY_S - 60)
    await queue.take(0)
    assert await queue.places("a") == ["ready:batch"]
    await queue.pass_time(70)
    assert (await queue.take_one()).verdict == "expired"


async def test_a_deadline_of_a_day_is_kept_when_the_clock_is_set_back_by_less(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    await queue.pass_time(-DAY_S / 2)
    await queue.take(0)
    assert await queue.deadline_s("a") > 1.4 * DAY_S
