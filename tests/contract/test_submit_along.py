"""A submit that brings small payloads along, and looks into the cache by itself."""

import pytest
from support.queue_under_test import QueueUnderTest
from support.results import counted
from support.stored_queue import ORPHAN_TTL_MS

from weighbridge.connection import results_apart
from weighbridge.exchange import Submission, SubmitReply
from weighbridge.records import Lane, encode_result

pytestmark = pytest.mark.asyncio


def along(queue: QueueUnderTest, *names: str, force: bool = False) -> list[Submission]:
    """Make submissions with their payloads."""
    return [Submission(queue.job(name), force=force, along=True) for name in names]


async def look(queue: QueueUnderTest, *submissions: Submission) -> SubmitReply:
    """Submit with a look into the cache."""
    if results_apart(queue.redis):
        pytest.skip("a cluster keeps results where no script of the queue looks")
    return await queue.scripts.submit(
        queue.redis, submissions, waiter="client", max_queue=10, max_bytes=2**30, look=True
    )


async def cache(queue: QueueUnderTest, name: str) -> bytes:
    """Write a count; returns its text."""
    text = encode_result(counted(queue.digest(name)))
    await queue.redis.set(queue.keys.result(queue.digest(name)), text, px=60_000)
    return text


async def test_a_payload_that_comes_along_is_stored_to_stay(queue: QueueUnderTest) -> None:
    reply = await queue.submit_reply(*along(queue, "a"))
    assert reply.statuses == ("new",)
    key = queue.keys.payload(queue.digest("a"))
    assert (await queue.redis.get(key), await queue.redis.pttl(key)) == (b"a", -1)
    assert reply.queue_bytes == 1


async def test_an_orphan_is_made_to_stay(queue: QueueUnderTest) -> None:
    await queue.store_payload("a")
    await queue.submit_reply(*along(queue, "a"))
    assert await queue.redis.pttl(queue.keys.payload(queue.digest("a"))) == -1


async def test_one_who_joins_brings_back_a_payload_that_was_lost(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.redis.delete(queue.keys.payload(queue.digest("a")))
    reply = await queue.submit_reply(*along(queue, "a"))
    assert reply.statuses == ("joined",)
    assert await queue.work_off() == ["a"]


async def test_one_who_joins_leaves_no_ttl(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.redis.pexpire(queue.keys.payload(queue.digest("a")), ORPHAN_TTL_MS)
    await queue.submit_reply(*along(queue, "a"))
    assert await queue.redis.pttl(queue.keys.payload(queue.digest("a"))) == -1


async def test_what_is_refused_leaves_no_payload(queue: QueueUnderTest) -> None:
    reply = await queue.submit_reply(*along(queue, "a", "b"), max_queue=1)
    assert reply.statuses == ("new", "full")
    assert not await queue.has_payload("b")


async def test_the_bound_of_bytes_holds_for_payloads_that_come_along(queue: QueueUnderTest) -> None:
    reply = await queue.submit_reply(*along(queue, "long", "a"), max_bytes=4)
    assert reply.statuses == ("new", "full_bytes")


async def test_what_is_cached_answers_and_makes_no_job(queue: QueueUnderTest) -> None:
    text = await cache(queue, "b")
    reply = await look(queue, *along(queue, "a", "b", "c"))
    assert reply.statuses == ("new", "cached", "new")
    assert reply.results == (text,)
    assert await queue.work_off() == ["a", "c"]


async def test_results_come_in_the_order_of_their_jobs(queue: QueueUnderTest) -> None:
    texts = [await cache(queue, name) for name in ("a", "b")]
    reply = await look(queue, *along(queue, "a", "b"))
    assert list(reply.results) == texts


async def test_force_passes_what_is_cached(queue: QueueUnderTest) -> None:
    await cache(queue, "a")
    reply = await look(queue, *along(queue, "a", force=True))
    assert (reply.statuses, reply.results) == (("new",), ())


async def test_without_a_look_nothing_answers(queue: QueueUnderTest) -> None:
    await cache(queue, "a")
    reply = await queue.submit_reply(*along(queue, "a"))
    assert (reply.statuses, reply.results) == (("new",), ())


async def test_a_submit_of_thousands_is_one_like_any_other(queue: QueueUnderTest) -> None:
    names = [f"job-{number}" for number in range(2500)]
    reply = await queue.submit_reply(*along(queue, *names, names[0], names[-1]))
    assert reply.statuses == ("new",) * 2500 + ("joined",) * 2
    assert (reply.depth, await queue.depth()) == (2500, 2500)
    assert await queue.redis.zcard(queue.keys.ready(Lane.BATCH)) == 2500
    assert await queue.redis.hlen(f"{queue.keys.prefix}bytes") == 2501
