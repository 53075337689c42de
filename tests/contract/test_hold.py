"""Holds: where waiting alone does not help, one probe at a time finds out when it is over."""

import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest

from weighbridge.bucket import Refusal

pytestmark = pytest.mark.asyncio

WORKERS = ["one", "two", "three"]


async def test_a_hold_lets_nobody_call_before_the_probe_is_due(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await hold(queue, 10)
    await queue.pass_time(9)
    assert await probes(queue) == 0


async def test_one_probe_goes_when_it_is_due(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await hold(queue, 10)
    await queue.pass_time(10)
    assert await probes(queue) == 1
    assert await queue.permits() == 1


async def test_a_probe_needs_no_turn(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await hold(queue, 10)
    await queue.pass_time(10)
    assert len((await queue.visit(8, turn_us=50_000_000)).leases) == 1


async def test_a_probe_that_nobody_could_make_waits(queue: QueueUnderTest) -> None:
    await hold(queue, 10)
    await queue.pass_time(10)
    assert await probes(queue) == 0
    await queue.submit_many(5)
    assert await probes(queue) == 1


async def test_probes_go_at_growing_intervals(queue: QueueUnderTest) -> None:
    await queue.submit_many(10)
    await hold(queue, 10)
    probed_at = []
    for second in range(0, 160, 5):
        if await probes(queue):
            probed_at.append(second)
        await queue.pass_time(5)
    assert probed_at == [10, 20, 40, 80]


async def test_probes_are_ten_minutes_apart_at_most(queue: QueueUnderTest) -> None:
    await queue.submit_many(20)
    await hold(queue, 60)
    for _ in range(8):
        await queue.pass_time(601)
        assert await probes(queue) == 1


async def test_a_hold_without_a_wait_probes_after_a_second(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await hold(queue, 0)
    assert await probes(queue) == 0
    await queue.pass_time(1)
    assert await probes(queue) == 1


async def test_a_refused_probe_does_not_begin_anew(queue: QueueUnderTest) -> None:
    await queue.submit_many(10)
    await hold(queue, 10)
    await queue.pass_time(10)
    assert await probes(queue) == 1
    await hold(queue, 1, generation=1)
    await queue.pass_time(5)
    assert await probes(queue) == 0
    await queue.pass_time(5)
    assert await probes(queue) == 1
    await hold(queue, 1, generation=2)
    await queue.pass_time(15)
    assert await probes(queue) == 0


async def test_a_pause_is_kept_within_a_hold(queue: QueueUnderTest) -> None:
    await queue.submit_many(10)
    await hold(queue, 1)
    await hold(queue, 30, generation=1)
    await queue.pass_time(25)
    assert await probes(queue) == 0
    await queue.pass_time(5)
    assert await probes(queue) == 1


async def test_a_hold_says_why(queue: QueueUnderTest) -> None:
    await hold(queue, 10)
    assert (await queue.visit()).hold == "spend_limit"
    assert (await queue.bucket.inspect()).hold == "spend_limit"


async def test_a_hold_cuts_nothing(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await hold(queue, 10)
    assert (await queue.visit()).interval_us == 1_000_000


async def test_many_refusals_make_one_hold(queue: QueueUnderTest) -> None:
    begun = [await hold(queue, 10) for _ in range(5)]
    assert begun == [True, False, False, False, False]
    await queue.submit_many(5)
    await queue.pass_time(10)
    assert await probes(queue) == 1


async def test_a_probe_that_succeeds_ends_the_hold(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await hold(queue, 10)
    await queue.pass_time(10)
    await queue.take()
    await queue.bucket.probed()
    reply = await queue.visit(8)
    assert (reply.hold, len(reply.leases)) == ("", 4)


async def test_a_hold_that_ended_leaves_nobody_waiting_for_its_probes(
    queue: QueueUnderTest,
) -> None:
    await hold(queue, 60)
    during = await queue.visit(worker="one", turn_us=None)
    await queue.bucket.probed()
    await queue.pass_time(60)
    after = await queue.visit(worker="one", turn_us=during.visit_us)
    assert after.visit_us < 1_000_000


async def test_a_hold_that_ended_wakes_everybody(queue: QueueUnderTest) -> None:
    for worker in WORKERS:
        await queue.visit(worker=worker)
    await hold(queue, 10)
    await queue.bucket.probed()
    assert await queue.redis.llen(queue.keys.doorbell) == 3


async def test_an_operator_ends_a_hold(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await hold(queue, 60)
    await queue.bucket.change("resume")
    await queue.pass_time(0.2)
    assert len(await queue.take(8)) == 5


async def test_a_held_fleet_serves_a_missed_job_as_its_probe(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    missed = await queue.take_one()
    await hold(queue, 10)
    assert await queue.take(8, held=[missed]) == []
    await queue.pass_time(10)
    leases = await queue.take(8, held=[missed])
    assert [lease.token for lease in leases] == [missed.token]


async def test_verdicts_need_no_probe(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=5)
    await hold(queue, 60)
    await queue.pass_time(6)
    assert (await queue.take_one()).verdict == "expired"


async def test_a_clock_that_jumps_back_does_not_put_off_the_probe(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await hold(queue, 30)
    await queue.pass_time(-3600)
    await queue.take(0)
    await queue.pass_time(1)
    assert await probes(queue) == 1


async def hold(queue: QueueUnderTest, wait_s: float, generation: int = 0) -> bool:
    """Report that no money is left; returns whether it began a new generation."""
    return await queue.bucket.penalise(Refusal(wait_s, generation, hold="spend_limit"))


async def probes(queue: QueueUnderTest) -> int:
    """Let every worker visit twice in its turn; returns how many calls that makes."""
    leases = [await queue.take(8, worker=worker) for worker in WORKERS * 2]
    return sum(map(len, leases))
