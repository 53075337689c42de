"""Fair order: nobody waits behind another's thousand jobs, and a join never costs a place."""

import pytest
from support.queue_under_test import QueueUnderTest

from weighbridge.records import Lane

pytestmark = pytest.mark.asyncio


def numbered(name: str, count: int) -> list[str]:
    """Name jobs in the order of their submit."""
    return [f"{name}-{number}" for number in range(count)]


async def test_one_producers_jobs_come_first_in_first_out(queue: QueueUnderTest) -> None:
    names = numbered("a", 40)
    await queue.submit(*names)
    assert await queue.work_off() == names


async def test_ten_jobs_alternate_with_anothers_thousand(queue: QueueUnderTest) -> None:
    await queue.submit(*numbered("many", 1000), producer="many")
    await queue.submit(*numbered("few", 10), producer="few")
    first = queue.names(await queue.take(20))
    assert [name for name in first if name.startswith("few")] == numbered("few", 10)
    assert [name for name in first if name.startswith("many")] == numbered("many", 10)


async def test_a_late_producer_gets_no_turns_for_the_past(queue: QueueUnderTest) -> None:
    await queue.submit(*numbered("early", 30), producer="early")
    await queue.settle(*await queue.take(10))
    await queue.submit(*numbered("late", 10), producer="late")
    next_ten = queue.names(await queue.take(10))
    assert sum(name.startswith("late") for name in next_ten) == 5


async def test_three_producers_share_alike(queue: QueueUnderTest) -> None:
    for producer in ("a", "b", "c"):
        await queue.submit(*numbered(producer, 20), producer=producer)
    first = queue.names(await queue.take(30))
    assert [sum(name[0] == producer for name in first) for producer in "abc"] == [10, 10, 10]


async def test_the_fair_order_forgets_producers_whose_turn_has_passed(
    queue: QueueUnderTest,
) -> None:
    for producer in range(50):
        await queue.submit(f"job-{producer}", producer=f"producer-{producer}")
    await queue.work_off()
    await queue.submit("last", producer="last")
    assert await queue.redis.zcard(queue.keys.fair(Lane.BATCH)) == 1


async def test_a_producer_that_joins_does_not_inherit_the_jobs_far_place(
    queue: QueueUnderTest,
) -> None:
    await queue.submit(*numbered("many", 100), producer="many")
    assert await queue.submit("many-99", producer="few") == ["joined"]
    assert "many-99" in (await queue.ready())[:2]


async def test_a_join_never_pushes_a_job_back(queue: QueueUnderTest) -> None:
    await queue.submit("first", producer="quick")
    await queue.submit(*numbered("many", 20), producer="many")
    await queue.submit("first", producer="many")
    assert "first" in (await queue.ready())[:2]


async def test_a_join_from_the_batch_lane_leaves_a_job_interactive(queue: QueueUnderTest) -> None:
    await queue.submit("a", lane=Lane.INTERACTIVE)
    await queue.submit("a", lane=Lane.BATCH)
    assert await queue.places("a") == ["ready:interactive"]


async def test_a_join_from_the_batch_lane_keeps_an_interactive_jobs_place(
    queue: QueueUnderTest,
) -> None:
    names = numbered("quick", 5)
    await queue.submit(*names, lane=Lane.INTERACTIVE, producer="quick")
    for name in reversed(names):
        await queue.submit(name, lane=Lane.BATCH, producer="other")
    assert await queue.ready(Lane.INTERACTIVE) == names
    assert await queue.ready(Lane.BATCH) == []


async def test_a_join_that_brings_no_better_place_costs_its_producer_nothing(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("quick", lane=Lane.INTERACTIVE)
    for _ in range(5):
        await queue.submit("quick", lane=Lane.BATCH, producer="joiner")
    await queue.submit(*numbered("b", 2), producer="rival")
    await queue.submit("a", producer="joiner")
    assert "a" in (await queue.ready())[:2]


async def test_an_interactive_join_lifts_a_ready_job(queue: QueueUnderTest) -> None:
    await queue.submit("a", lane=Lane.BATCH)
    await queue.submit("a", lane=Lane.INTERACTIVE)
    assert await queue.places("a") == ["ready:interactive"]
    assert (await queue.take_one()).lane is Lane.INTERACTIVE


async def test_an_interactive_join_lifts_a_leased_job_when_it_returns(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a", lane=Lane.BATCH)
    lease = await queue.take_one()
    await queue.submit("a", lane=Lane.INTERACTIVE)
    assert await queue.places("a") == ["leased"]
    await queue.jobs.release([lease])
    assert await queue.places("a") == ["ready:interactive"]


async def test_an_interactive_join_lifts_a_retry_when_it_is_due(queue: QueueUnderTest) -> None:
    await queue.submit("a", lane=Lane.BATCH)
    await queue.jobs.retry(await queue.take_one(), 60)
    await queue.submit("a", lane=Lane.INTERACTIVE)
    await queue.make_due("a")
    assert (await queue.take_one()).lane is Lane.INTERACTIVE


async def test_a_settle_removes_a_job_that_was_lifted_while_leased(queue: QueueUnderTest) -> None:
    await queue.submit("a", lane=Lane.BATCH)
    lease = await queue.take_one()
    await queue.submit("a", lane=Lane.INTERACTIVE)
    await queue.settle(lease)
    assert await queue.places("a") == []


async def test_interactive_goes_before_batch(queue: QueueUnderTest) -> None:
    await queue.submit(*numbered("batch", 5), lane=Lane.BATCH)
    await queue.submit("quick", lane=Lane.INTERACTIVE)
    assert queue.names(await queue.take()) == ["quick"]


@pytest.mark.parametrize("want", [1, 3, 50])
async def test_batch_gets_every_tenth_slot_while_interactive_work_waits(
    queue: QueueUnderTest, want: int
) -> None:
    await queue.submit(*numbered("batch", 50), lane=Lane.BATCH)
    await queue.submit(*numbered("quick", 60), lane=Lane.INTERACTIVE)
    order: list[str] = []
    while len(order) < 50:
        order += queue.names(await queue.take(want))
    batch = [place for place, name in enumerate(order[:50]) if name.startswith("batch")]
    assert batch == [9, 19, 29, 39, 49]


async def test_batch_gets_every_slot_that_interactive_leaves(queue: QueueUnderTest) -> None:
    await queue.submit(*numbered("batch", 5), lane=Lane.BATCH)
    await queue.submit(*numbered("quick", 2), lane=Lane.INTERACTIVE)
    assert len(await queue.take(8)) == 7


async def test_a_returned_job_keeps_its_place(queue: QueueUnderTest) -> None:
    await queue.submit(*numbered("a", 5))
    await queue.jobs.release([await queue.take_one()])
    assert await queue.ready() == numbered("a", 5)


async def test_a_returned_job_goes_back_to_its_own_lane(queue: QueueUnderTest) -> None:
    await queue.submit("batch", lane=Lane.BATCH)
    lease = await queue.take_one()
    await queue.submit("quick", lane=Lane.INTERACTIVE)
    await queue.jobs.release([lease])
    assert await queue.places("batch") == ["ready:batch"]
