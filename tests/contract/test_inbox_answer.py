"""Answering inbox entries that need no job: the reply and the acknowledgement are one step."""

import pytest
from support.queue_under_test import QueueUnderTest

pytestmark = pytest.mark.asyncio

REPLY = b'{"id":"my-id","status":"counted"}'


async def test_an_answered_entry_leaves_the_inbox(queue: QueueUnderTest) -> None:
    await answer(queue, await queue.read_inbox_entry())
    assert await queue.inbox() == (0, 0)


async def test_an_answer_stands_under_the_reply_id_with_a_ttl(queue: QueueUnderTest) -> None:
    await answer(queue, await queue.read_inbox_entry())
    assert await queue.redis.get(queue.keys.reply("my-id")) == REPLY
    assert 0 < await queue.redis.pttl(queue.keys.reply("my-id")) <= 3_600_000


async def test_an_answer_leaves_other_entries_alone(queue: QueueUnderTest) -> None:
    first = await queue.read_inbox_entry()
    await queue.read_inbox_entry()
    await answer(queue, first)
    assert await queue.inbox() == (1, 1)


async def test_an_answer_rings_the_bell_that_was_asked_for(queue: QueueUnderTest) -> None:
    await answer(queue, await queue.read_inbox_entry(), bell=True)
    assert await queue.redis.lpop(queue.keys.bell("my-id")) == REPLY


async def test_an_unread_bell_goes_by_itself(queue: QueueUnderTest) -> None:
    await answer(queue, await queue.read_inbox_entry(), bell=True)
    assert await queue.redis.pttl(queue.keys.bell("my-id")) > 0


async def test_without_a_bell_nothing_rings(queue: QueueUnderTest) -> None:
    await answer(queue, await queue.read_inbox_entry())
    assert not await queue.redis.exists(queue.keys.bell("my-id"))


async def test_a_repeated_answer_rings_once(queue: QueueUnderTest) -> None:
    entry = await queue.read_inbox_entry()
    await answer(queue, entry, bell=True)
    await answer(queue, entry, bell=True)
    assert await queue.redis.lrange(queue.keys.bell("my-id"), 0, -1) == [REPLY]


async def test_several_entries_are_answered_in_one_call(queue: QueueUnderTest) -> None:
    entries = [await queue.read_inbox_entry() for _ in range(3)]
    await queue.scripts.answer(
        queue.redis,
        [(entry, f"id-{number}", False, REPLY) for number, entry in enumerate(entries)],
        reply_ttl_ms=3_600_000,
    )
    assert await queue.redis.exists(*(queue.keys.reply(f"id-{n}") for n in range(3))) == 3
    assert await queue.inbox() == (0, 0)


async def answer(queue: QueueUnderTest, entry: str, *, bell: bool = False) -> None:
    """Answer an entry under an id of its own."""
    await queue.scripts.answer(queue.redis, [(entry, "my-id", bell, REPLY)], reply_ttl_ms=3_600_000)
