"""Trace contexts travel with a job; a worker's figures stand in its hash and nowhere else."""

import pytest
from msgspec.structs import replace
from support.queue_under_test import QueueUnderTest

from weighbridge.exchange import Submission

pytestmark = pytest.mark.asyncio

MADE, JOINED, LATER = (f"00-{digit * 32}-{digit * 16}-01" for digit in "abc")


async def submit(queue: QueueUnderTest, name: str, trace: str) -> str:
    """Submit a job with a trace context."""
    await queue.store_payload(name)
    reply = await queue.submit_reply(Submission(replace(queue.job(name), trace=trace)))
    return reply.statuses[0]


async def test_a_lease_tells_who_made_the_job_and_who_joined_it(queue: QueueUnderTest) -> None:
    traces = (MADE, JOINED, f"{LATER} vendor=1")
    assert [await submit(queue, "a", trace) for trace in traces] == ["new", "joined", "joined"]
    assert (await queue.take_one()).trace == "\n".join(traces)


async def test_a_context_that_joins_twice_is_noted_once(queue: QueueUnderTest) -> None:
    for trace in (MADE, MADE, JOINED, JOINED):
        await submit(queue, "a", trace)
    assert (await queue.take_one()).trace == f"{MADE}\n{JOINED}"


async def test_the_first_line_is_empty_where_who_made_the_job_does_not_trace(
    queue: QueueUnderTest,
) -> None:
    for trace in ("", JOINED):
        await submit(queue, "a", trace)
    assert (await queue.take_one()).trace == f"\n{JOINED}"


async def test_without_traces_a_job_holds_none(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.submit("a")
    assert not await queue.redis.hexists(queue.keys.job(queue.digest("a")), "trace")
    assert (await queue.take_one()).trace == ""


async def test_figures_stand_beside_what_else_a_worker_says(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    await queue.take_one()
    [worker] = [name.decode() for name in await queue.redis.zrange(queue.keys.workers, 0, -1)]
    for figures in (b'{"slots_missed":1}', b'{"slots_missed":2}'):
        await queue.scripts.note_figures(queue.redis, worker, figures)
    told = await queue.redis.hgetall(queue.keys.worker(worker))
    assert told[b"figures"] == b'{"slots_missed":2}'
    assert told[b"version"]


async def test_figures_of_a_worker_that_is_gone_make_no_key(queue: QueueUnderTest) -> None:
    await queue.scripts.note_figures(queue.redis, "gone", b"{}")
    assert await queue.redis.exists(queue.keys.worker("gone")) == 0
