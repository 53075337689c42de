"""Replies: every inbox entry that joined a job is answered, in pieces that block nobody."""

import json
from typing import Any

import pytest
from support.queue_under_test import QueueUnderTest

pytestmark = pytest.mark.asyncio


async def test_a_reply_holds_its_id_its_entry_and_the_result(queue: QueueUnderTest) -> None:
    await queue.submit("a", reply="1-0 0 my-id", waiter="")
    await queue.settle(await queue.take_one(), tokens=42)
    reply = await read_reply(queue, "my-id")
    assert reply == {
        "id": "my-id",
        "entry": "1-0",
        "status": "counted",
        "digest": queue.digest("a"),
        "model": "claude-sonnet-5",
        "input_tokens": 42,
        "source": "api",
        "counted_at": 1,
    }


async def test_a_reply_of_a_failure_says_why(queue: QueueUnderTest) -> None:
    await queue.submit("a", reply="1-0 0 my-id", waiter="")
    await queue.fail(await queue.take_one(), code="expired")
    reply = await read_reply(queue, "my-id")
    assert (reply["status"], reply["code"], reply["message"]) == ("failed", "expired", "no")


async def test_a_reply_has_a_ttl(queue: QueueUnderTest) -> None:
    await queue.submit("a", reply="1-0 0 my-id", waiter="")
    await queue.settle(await queue.take_one())
    assert await queue.redis.pttl(queue.keys.reply("my-id")) > 300_000


async def test_without_a_bell_there_is_no_list(queue: QueueUnderTest) -> None:
    await queue.submit("a", reply="1-0 0 my-id", waiter="")
    await queue.settle(await queue.take_one())
    assert not await queue.redis.exists(queue.keys.bell("my-id"))


async def test_a_bell_rings_once_with_the_reply(queue: QueueUnderTest) -> None:
    await queue.submit("a", reply="1-0 1 my-id", waiter="")
    await queue.settle(await queue.take_one())
    rings = await queue.redis.lrange(queue.keys.bell("my-id"), 0, -1)
    assert rings == [await queue.redis.get(queue.keys.reply("my-id"))]
    assert await queue.redis.pttl(queue.keys.bell("my-id")) > 0


async def test_every_entry_that_joined_gets_its_reply(queue: QueueUnderTest) -> None:
    for number in range(5):
        await queue.submit("a", reply=f"{number}-0 0 id-{number}", waiter="")
    await queue.settle(await queue.take_one())
    replies = [await read_reply(queue, f"id-{number}") for number in range(5)]
    assert [reply["entry"] for reply in replies] == [f"{number}-0" for number in range(5)]


async def test_a_repeated_submit_makes_one_reply(queue: QueueUnderTest) -> None:
    await queue.submit("a", reply="1-0 0 my-id", waiter="")
    await queue.submit("a", reply="1-0 0 my-id", waiter="")
    assert await queue.redis.scard(queue.keys.replies(queue.digest("a"))) == 1


async def test_one_call_writes_at_most_200_replies(queue: QueueUnderTest) -> None:
    await wait_for_replies(queue, "a", 500)
    lease = await queue.take_one()
    assert await queue.settle_script(lease) == ["more"]
    assert await queue.redis.scard(queue.keys.replies(lease.digest)) == 300


async def test_a_job_stays_leased_until_all_its_replies_are_written(
    queue: QueueUnderTest,
) -> None:
    await wait_for_replies(queue, "a", 500)
    lease = await queue.take_one()
    for _ in range(2):
        assert await queue.settle_script(lease) == ["more"]
        assert await queue.places("a") == ["leased"]
    assert await queue.settle_script(lease) == ["settled"]
    assert await queue.places("a") == []


async def test_a_neighbour_with_many_replies_holds_nobody_up(queue: QueueUnderTest) -> None:
    await wait_for_replies(queue, "a", 500)
    await queue.submit("b")
    leases = await queue.take(2)
    assert await queue.settle_script(*leases) == ["more", "settled"]
    await queue.settle(leases[0])


async def test_two_jobs_share_the_replies_of_one_call(queue: QueueUnderTest) -> None:
    await wait_for_replies(queue, "a", 150)
    await wait_for_replies(queue, "b", 150)
    leases = await queue.take(2)
    assert await queue.settle_script(*leases) == ["settled", "more"]
    assert await queue.settle_script(leases[1]) == ["settled"]


async def test_ten_thousand_replies_are_all_written(queue: QueueUnderTest) -> None:
    await wait_for_replies(queue, "a", 10_000)
    assert await queue.settle(await queue.take_one()) == 0
    written = await queue.redis.exists(*(queue.keys.reply(f"id-{n}") for n in range(10_000)))
    assert written == 10_000
    assert await queue.places("a") == []


async def test_a_job_whose_settle_was_cut_short_is_finished_by_another_worker(
    queue: QueueUnderTest,
) -> None:
    await wait_for_replies(queue, "a", 300)
    await queue.settle_script(await queue.take_one(worker="dead"))
    await queue.end_leases()
    await queue.settle(await queue.take_one(worker="alive"))
    assert await queue.redis.exists(*(queue.keys.reply(f"id-{n}") for n in range(300))) == 300


async def wait_for_replies(queue: QueueUnderTest, name: str, count: int) -> None:
    """Submit a job for which this many inbox entries wait."""
    await queue.submit(name, reply="0-0 0 id-0", waiter="")
    members = [f"{number}-0 0 id-{number}" for number in range(1, count)]
    await queue.redis.sadd(queue.keys.replies(queue.digest(name)), *members)


async def read_reply(queue: QueueUnderTest, reply_id: str) -> dict[str, Any]:
    """Read a reply as a foreign producer would."""
    reply: dict[str, Any] = json.loads(await queue.redis.get(queue.keys.reply(reply_id)) or b"{}")
    return reply
