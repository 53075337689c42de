"""Cancel: a job is withdrawn if nobody else wants it and no worker has it."""

import pytest
from support.queue_under_test import QueueUnderTest

pytestmark = pytest.mark.asyncio


async def test_a_job_that_nobody_else_wants_is_withdrawn(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    assert await queue.cancel("a") == "withdrawn"
    assert await queue.take() == []


async def test_a_withdrawn_job_leaves_nothing(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.cancel("a")
    assert await queue.places("a") == []
    assert await queue.depth() == 0
    digest = queue.digest("a")
    assert not await queue.redis.exists(queue.keys.job(digest), queue.keys.payload(digest))


async def test_a_withdrawn_job_can_be_submitted_again(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.cancel("a")
    assert await queue.submit("a") == ["new"]
    assert await queue.work_off() == ["a"]


async def test_a_job_that_another_client_wants_goes_on(queue: QueueUnderTest) -> None:
    await queue.submit("a", waiter="one")
    await queue.submit("a", waiter="two")
    assert await queue.cancel("a", waiter="one") == "wanted"
    assert await queue.work_off() == ["a"]


async def test_the_last_waiter_withdraws(queue: QueueUnderTest) -> None:
    await queue.submit("a", waiter="one")
    await queue.submit("a", waiter="two")
    await queue.cancel("a", waiter="one")
    assert await queue.cancel("a", waiter="two") == "withdrawn"


async def test_a_job_for_which_a_reply_is_due_goes_on(queue: QueueUnderTest) -> None:
    await queue.submit("a", reply="1-0 0 my-id", waiter="")
    await queue.submit("a", waiter="one")
    assert await queue.cancel("a", waiter="one") == "wanted"
    assert await queue.work_off() == ["a"]


async def test_a_stranger_withdraws_nothing(queue: QueueUnderTest) -> None:
    await queue.submit("a", waiter="one")
    assert await queue.cancel("a", waiter="stranger") == "wanted"
    assert await queue.places("a") == ["ready:batch"]


async def test_a_leased_job_is_too_late_to_withdraw(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    assert await queue.cancel("a") == "leased"
    assert await queue.settle_script(lease) == ["settled"]


async def test_a_job_that_waits_for_its_retry_can_be_withdrawn(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.jobs.retry(await queue.take_one(), 60)
    assert await queue.cancel("a") == "withdrawn"
    assert await queue.places("a") == []


async def test_a_repeated_cancel_is_harmless(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.cancel("a")
    assert await queue.cancel("a") == "unknown"


async def test_a_repeated_cancel_leaves_those_who_joined_their_job(queue: QueueUnderTest) -> None:
    await queue.submit("a", waiter="one")
    await queue.cancel("a", waiter="one")
    await queue.submit("a", waiter="two")
    assert await queue.cancel("a", waiter="one") == "wanted"
    assert await queue.work_off() == ["a"]


async def test_a_settled_job_is_unknown_to_cancel(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.work_off()
    assert await queue.cancel("a") == "unknown"


async def test_a_repeated_cancel_of_a_leased_job_lets_it_finish(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    lease = await queue.take_one()
    await queue.cancel("a")
    await queue.cancel("a")
    assert await queue.settle_script(lease) == ["settled"]
