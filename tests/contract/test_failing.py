"""Outages: where most calls fail the fleet holds, probes, and comes back by itself."""

import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest

from weighbridge.bucket import FAILING
from weighbridge.exchange import Calls, TakeReply

pytestmark = pytest.mark.asyncio

SECOND_US = 1_000_000
MOSTLY = 20
LONE = 8
WELL = 5
LATE_US = SECOND_US
LONE_STATE = "failing_alone"


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
    assert [reply.failing for reply in replies] == ["fleet", ""]
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
    assert (await report(queue, failed=MOSTLY, generation=1)).failing == ""
    await queue.bucket.probed()
    assert (await report(queue, failed=MOSTLY - 1, generation=1)).hold == ""


async def test_probes_go_at_growing_intervals_of_a_minute_at_most(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(20)
    await report(queue, failed=MOSTLY)
    waits = [1]
    for _ in range(9):
        await queue.pass_time(waits[-1])
        waits.append(int(await queue.redis.hget(queue.keys.bucket, "probe_wait")) // SECOND_US)
        assert len(await queue.take(8)) == 1
    assert waits == [1, 1, 2, 4, 8, 16, 32, 60, 60, 60]


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


async def test_one_worker_that_fails_while_others_are_answered_fails_alone(
    queue: QueueUnderTest,
) -> None:
    await fail_beside_a_well_worker(queue)
    assert (await report(queue, failed=1, worker="broken")).failing == "worker"
    assert (await queue.bucket.inspect()).hold == ""


async def test_answers_on_their_way_when_the_calls_began_to_fail_show_nothing(
    queue: QueueUnderTest,
) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await report(queue, failed=LONE, worker="broken")
    await report(queue, answered=WELL, worker="well")
    await queue.redis.hincrby(queue.keys.worker("broken"), "failing_at", LATE_US)
    assert (await report(queue, failed=1, worker="broken")).failing == ""


async def test_whoever_fails_alone_gets_nothing_by_that_visit(queue: QueueUnderTest) -> None:
    await queue.submit_many(5)
    await fail_beside_a_well_worker(queue)
    assert (await report(queue, failed=1, want=8, worker="broken")).leases == ()
    assert (await report(queue, want=1, worker="broken", state=LONE_STATE)).leases != ()


async def test_an_answer_makes_a_worker_one_like_the_others_again(queue: QueueUnderTest) -> None:
    await fail_beside_a_well_worker(queue)
    await report(queue, answered=1, worker="broken")
    assert (await report(queue, failed=LONE - 1, worker="broken")).failing == ""


async def test_no_number_of_workers_that_fail_alone_holds_the_fleet(queue: QueueUnderTest) -> None:
    await fail_beside_a_well_worker(queue, *(f"broken-{number}" for number in range(10)))
    for probe in range(100):
        await report(queue, failed=1, worker=f"broken-{probe % 10}", state=LONE_STATE)
        await report(queue, answered=1, worker="well")
    assert (await queue.bucket.inspect()).hold == ""


async def test_what_fails_alone_counts_for_no_outage(queue: QueueUnderTest) -> None:
    await fail_beside_a_well_worker(queue)
    for _ in range(10):
        await report(queue, failed=MOSTLY, worker="broken", state=LONE_STATE)
        await report(queue, answered=1, worker="well")
    assert (await report(queue, failed=MOSTLY - 1, worker="well")).hold == ""


async def test_an_outage_holds_the_fleet_whoever_failed_alone_before(queue: QueueUnderTest) -> None:
    await fail_beside_a_well_worker(queue)
    assert (await report(queue, failed=1, worker="broken")).failing == "worker"
    assert (await report(queue, failed=MOSTLY, worker="well")).failing == "fleet"


async def test_where_every_worker_stays_away_the_fleet_holds(queue: QueueUnderTest) -> None:
    await fail_beside_a_well_worker(queue)
    failing = [
        (await report(queue, failed=1, worker=worker, state=LONE_STATE)).failing
        for worker in ["broken", "well"] * MOSTLY
    ]
    assert failing[: MOSTLY // 2] == [""] * (MOSTLY // 2)
    assert failing.count("fleet") == 1


async def test_what_a_worker_told_is_forgotten_when_the_servers_clock_jumps_back(
    queue: QueueUnderTest,
) -> None:
    await fail_beside_a_well_worker(queue)
    await queue.pass_time(-3600)
    assert (await report(queue, failed=1, worker="broken")).failing == ""
    await queue.redis.hincrby(queue.keys.worker("broken"), "failing_at", -LATE_US)
    await report(queue, answered=1, worker="well")
    assert (await report(queue, failed=1, worker="broken")).failing == "worker"


async def fail_beside_a_well_worker(queue: QueueUnderTest, *broken: str) -> None:
    """Let workers fail for longer than answers need that were on their way; another is answered."""
    await queue.set_rate(ONE_SLOT_RPM)
    for worker in broken or ["broken"]:
        await report(queue, failed=LONE, worker=worker)
        await queue.redis.hincrby(queue.keys.worker(worker), "failing_at", -LATE_US)
        await report(queue, answered=WELL, worker="well")


async def report(
    queue: QueueUnderTest,
    *,
    answered: int = 0,
    failed: int = 0,
    generation: int = 0,
    want: int = 0,
    worker: str = "worker",
    state: str = "taking",
) -> TakeReply:
    """Visit and tell how one's calls went."""
    calls = Calls(answered, failed, generation)
    return await queue.visit(want, worker=worker, state=state, calls=calls)
