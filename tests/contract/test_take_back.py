"""Operation numbers: a reply of take that was lost costs a job nothing."""

import pytest
from support.queue_under_test import QueueUnderTest

pytestmark = pytest.mark.asyncio


async def test_the_next_operation_takes_back_what_a_lost_reply_granted(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a", "b")
    await queue.take(2, heard=False)
    assert queue.names(await queue.take(2)) == ["a", "b"]


async def test_a_delivery_that_was_taken_back_does_not_count(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take(heard=False)
    assert (await queue.take_one()).deliveries == 1


async def test_lost_replies_never_make_a_healthy_job_look_poisonous(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    for _ in range(6):
        await queue.take(heard=False)
    lease = await queue.take_one()
    assert (lease.verdict, lease.deliveries) == ("", 1)


async def test_an_operation_sent_twice_grants_once(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b", "c")
    await queue.take(2, heard=False)
    again = await queue.take(2, again=True)
    assert queue.names(again) == ["a", "b"]
    assert await queue.places("c") == ["ready:batch"]


async def test_a_lease_of_the_lost_reply_no_longer_holds(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    [lost] = await queue.take(heard=False)
    await queue.take()
    assert await queue.settle_script(lost) == ["stale"]


async def test_confirmed_leases_stay(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    first = await queue.take_one()
    second = await queue.take_one()
    assert await queue.settle_script(first, second) == ["settled", "settled"]


async def test_only_the_unconfirmed_operation_is_taken_back(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    heard = await queue.take_one()
    await queue.take(heard=False)
    await queue.take(0)
    assert await queue.places("a") == ["leased"]
    assert await queue.places("b") == ["ready:batch"]
    assert await queue.settle_script(heard) == ["settled"]


async def test_an_operation_that_arrives_late_takes_nothing_from_a_newer_one(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a", "b")
    await queue.take(0, heard=False)
    lease = await queue.take_one()
    visitor = queue.visitor("worker")
    visitor.operation, visitor.confirmed = 1, 0
    await queue.take(again=True, heard=False)
    assert await queue.settle_script(lease) == ["settled"]


async def test_what_a_newer_operation_lost_is_still_taken_back_after_a_late_one(
    queue: QueueUnderTest,
) -> None:
    await queue.submit("a")
    await queue.take(0)
    await queue.take(heard=False)
    visitor = queue.visitor("worker")
    visitor.operation = 1
    await queue.take(again=True, heard=False)
    visitor.operation = 2
    [lease] = await queue.take()
    assert lease.deliveries == 1


async def test_an_operation_that_arrives_late_gets_nothing(queue: QueueUnderTest) -> None:
    await queue.submit("a", "b")
    await queue.take_one()
    await queue.take_one()
    await queue.submit("c")
    visitor = queue.visitor("worker")
    visitor.operation, visitor.confirmed = 1, 0
    reply = await queue.visit(8, again=True, heard=False)
    assert (reply.leases, reply.alone) == ((), False)
    assert reply.visit_us > 0
    assert await queue.places("c") == ["ready:batch"]


async def test_another_workers_leases_are_left_alone(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take(worker="one", heard=False)
    assert await queue.take(worker="two") == []


async def test_a_lost_lease_that_went_to_another_worker_stays_there(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take(worker="one", heard=False)
    await queue.end_leases()
    lease = await queue.take_one(worker="two")
    assert await queue.take(worker="one") == []
    assert await queue.settle_script(lease) == ["settled"]


async def test_a_job_settled_under_a_lost_reply_is_not_revived(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    [lease] = await queue.take(heard=False)
    await queue.settle(lease)
    assert await queue.take() == []
    assert await queue.places("a") == []


async def test_a_verdict_that_was_taken_back_comes_again(queue: QueueUnderTest) -> None:
    await queue.submit("a", deadline_s=1)
    await queue.pass_time(2)
    await queue.take(0, heard=False)
    assert [lease.verdict for lease in await queue.take(0)] == ["expired"]


async def test_a_poison_verdict_that_was_taken_back_comes_again(queue: QueueUnderTest) -> None:
    await queue.submit("poison")
    for _ in range(3):
        await queue.die_with("poison")
    [lost] = await queue.take(heard=False)
    [lease] = await queue.take()
    assert (lost.verdict, lease.verdict) == ("poison", "poison")
