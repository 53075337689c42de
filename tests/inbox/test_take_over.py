"""Entries that a reader left behind: none is lost, whoever read it and however it went."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis
from support.foreign_producer import HELLO, INBOX, ask, gone, reply
from support.pools import Answers, live_jobs, running_pool, until

from weighbridge.connection import connect, connect_unrepeated
from weighbridge.keys import Keys
from weighbridge.scripts import INBOX_GROUP, Scripts
from weighbridge_worker.inbox import CLAIM_IDLE_MS, READ_AT_ONCE, READ_BYTES, Inbox
from weighbridge_worker.intake import MAX_DELIVERIES

pytestmark = pytest.mark.asyncio
KEYS = Keys()


async def test_the_entries_of_a_dead_intake_are_taken_over_to_the_last(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        entries = await left_by(redis, "the-dead", [payload(n) for n in range(READ_AT_ONCE * 2)])
        async with running_pool(redis_url, Answers()):
            replies = [await reply(redis, entry) for entry in entries]
            await gone(redis)
    assert {answered["status"] for answered in replies} == {"counted"}


async def test_a_walk_goes_on_where_it_stopped(redis_url: str) -> None:
    async with opened_inbox(redis_url) as (inbox, redis):
        entries = await left_by(redis, "the-dead", [b"{}"] * (READ_AT_ONCE + 3))
        first, second = await inbox.take_over(), await inbox.take_over()
        assert [request.entry for request in first + second] == entries
        assert len(first) == READ_AT_ONCE


async def test_a_walk_that_is_over_rests_a_while(redis_url: str) -> None:
    async with opened_inbox(redis_url) as (inbox, redis):
        await inbox.take_over()
        await left_by(redis, "the-dead", [b"{}"])
        assert await inbox.take_over() == []


async def test_what_is_taken_over_at_once_is_bounded_by_bytes(redis_url: str) -> None:
    async with opened_inbox(redis_url) as (inbox, redis):
        await left_by(redis, "the-dead", [b"x" * (READ_BYTES // 2)] * 3)
        assert [len(await inbox.take_over()) for _ in range(2)] == [2, 1]


async def test_what_is_read_at_once_shrinks_with_the_entries_size(redis_url: str) -> None:
    async with opened_inbox(redis_url) as (inbox, redis):
        await inbox.take_over()
        for _ in range(12):
            await ask(redis, {"payload": b"x" * (READ_BYTES // 2)})
        assert [len(await inbox.read()) for _ in range(3)] == [8, 2, 2]


async def test_what_its_reader_has_in_hand_is_left_to_it(redis_url: str) -> None:
    async with opened_inbox(redis_url) as (inbox, redis):
        entries = await left_by(redis, "busy", [b"{}"] * 2)
        await redis.xclaim(INBOX, INBOX_GROUP, "busy", 0, [entries[0]], justid=True)
        assert [request.entry for request in await inbox.take_over()] == [entries[1]]


async def test_kept_entries_are_not_taken_over(redis_url: str) -> None:
    async with (
        opened_inbox(redis_url, "holder") as (holder, redis),
        opened_inbox(redis_url, "other") as (other, _),
    ):
        await left_by(redis, "holder", [b"{}"])
        in_hand = await holder.take_over()
        await grow_idle(redis, "holder", [request.entry for request in in_hand])
        await holder.keep(in_hand)
        assert await other.take_over() == []
        [row] = await redis.xpending_range(INBOX, INBOX_GROUP, "-", "+", 1)
        assert row["times_delivered"] == 2  # keeping is no delivery


async def test_a_lost_reply_strands_nothing_in_our_own_hands(redis_url: str) -> None:
    async with opened_inbox(redis_url, "worker") as (inbox, redis):
        entries = await left_by(redis, "worker", [b"{}"])
        assert [request.entry for request in await inbox.take_over()] == entries


async def test_an_entry_that_was_deleted_meanwhile_leaves_the_pending_list(redis_url: str) -> None:
    async with opened_inbox(redis_url) as (inbox, redis):
        entries = await left_by(redis, "the-dead", [b"{}"] * 3)
        await redis.xdel(INBOX, entries[1])
        found = [request.entry for request in await inbox.take_over()]
        assert found == [entries[0], entries[2]]
        assert (await redis.xpending(INBOX, INBOX_GROUP))["pending"] == 2


async def test_an_entry_that_readers_keep_leaving_is_answered_as_poison(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        [entry] = await left_by(redis, "the-dead", [payload(0)], deliveries=MAX_DELIVERIES)
        [healthy] = await left_by(redis, "the-dead", [payload(1)], deliveries=MAX_DELIVERIES - 1)
        async with running_pool(redis_url, Answers()):
            assert (await reply(redis, entry))["code"] == "poison"
            assert (await reply(redis, healthy))["status"] == "counted"
            await gone(redis)


async def test_a_garbage_entry_of_a_dead_intake_is_answered(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        [entry] = await left_by(redis, "the-dead", [b"\xff\x00{"])
        async with running_pool(redis_url, Answers()):
            assert (await reply(redis, entry))["code"] == "malformed_payload"
            await gone(redis)


async def test_the_consumer_of_a_dead_worker_goes_once_it_holds_nothing(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        [entry] = await left_by(redis, "the-dead", [payload(0)])
        await redis.xgroup_createconsumer(INBOX, INBOX_GROUP, "long-dead")
        async with running_pool(redis_url, Answers()):
            await until(lambda: no_consumer(redis, "long-dead"))
            assert (await reply(redis, entry))["status"] == "counted"
        assert await no_consumer(redis, "the-dead")


async def test_a_worker_that_drains_takes_its_own_consumer_along(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        async with running_pool(redis_url, Answers()):
            await reply(redis, await ask(redis, {"payload": payload(0)}))
        assert await consumers(redis) == []


async def test_a_fleet_of_none_keeps_what_waits_and_what_was_in_hand(redis_url: str) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    async with Redis.from_url(redis_url) as redis:
        async with running_pool(redis_url, answers, max_queue=1, drain_s=1, call_deadline_s=0.5):
            entries = [await ask(redis, {"payload": payload(n)}) for n in range(20)]
            await until(lambda: refused_entries_are_pending(redis, redis_url))
        assert await redis.xlen(INBOX) == 19
        [drained] = await consumers(redis)
        in_hand: Any = await redis.xpending_range(INBOX, INBOX_GROUP, "-", "+", 100)
        await grow_idle(redis, drained, [row["message_id"].decode() for row in in_hand])
        answers.gate.set()
        entries.append(await ask(redis, {"payload": payload(20)}))
        async with running_pool(redis_url, answers):
            replies = [await reply(redis, entry) for entry in entries]
            await gone(redis)
    assert {answered["status"] for answered in replies} == {"counted"}


def payload(number: int) -> bytes:
    """Make one of many payloads."""
    return json.dumps(HELLO | {"system": f"number {number}"}).encode()


async def left_by(
    redis: Redis, consumer: str, payloads: Iterable[bytes], *, deliveries: int = 1
) -> Any:
    """Let a reader read entries and leave them, long ago; returns their ids."""
    with anyio.fail_after(10):
        entries: Any = [await ask(redis, {"payload": text}) for text in payloads]
        if await redis.exists(INBOX) and not await redis.xinfo_groups(INBOX):
            await redis.xgroup_create(INBOX, INBOX_GROUP, id="0")
        await redis.xreadgroup(INBOX_GROUP, consumer, {INBOX: ">"})
        for _ in range(deliveries - 1):
            await redis.xclaim(INBOX, INBOX_GROUP, consumer, 0, entries)
    await grow_idle(redis, consumer, entries)
    return entries


async def grow_idle(redis: Redis, consumer: str, entries: Any) -> None:
    """Let these entries have been left alone for long enough."""
    idle = CLAIM_IDLE_MS * 2
    await redis.xclaim(INBOX, INBOX_GROUP, consumer, 0, entries, idle=idle, justid=True)


async def consumers(redis: Any) -> list[str]:
    """Return the names of the group's consumers."""
    return [row["name"].decode() for row in await redis.xinfo_consumers(INBOX, INBOX_GROUP)]


async def no_consumer(redis: Redis, name: str) -> bool:
    """Whether the group has no such consumer."""
    return name not in await consumers(redis)


async def refused_entries_are_pending(redis: Redis, url: str) -> bool:
    """Whether one job fills the queue and a neighbour, or several, wait in a reader's hand."""
    pending = await redis.xpending(INBOX, INBOX_GROUP)
    return await live_jobs(url) == 1 and pending["pending"] > 0


@asynccontextmanager
async def opened_inbox(url: str, worker: str = "worker") -> AsyncIterator[tuple[Inbox, Redis]]:
    """Open a worker's place in the group."""
    async with connect(url) as redis, connect_unrepeated(url) as reading:
        yield Inbox(redis, reading, KEYS, Scripts(KEYS), worker=worker), redis
