"""The producer's side, on a real server with a real worker."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import ANY

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskStatus
from support.pools import Answers, live_jobs, running_pool, until

from weighbridge import (
    Client,
    Counted,
    CountFailed,
    Failed,
    MalformedPayload,
    NotCountable,
    NotCountablePayload,
    PayloadTooLarge,
    QueueFull,
    QueueSettings,
    QueueUnreachable,
    ResultTimeout,
    ScopeMismatch,
    SettingsError,
    UnknownJob,
)
from weighbridge.connection import connect
from weighbridge.keys import Keys
from weighbridge.records import encode_result
from weighbridge.submitter import BATCH
from weighbridge_worker.calls import PermanentFailure

pytestmark = pytest.mark.asyncio
KEYS = Keys()


def payload(text: str) -> dict[str, Any]:
    """Make a payload of one message."""
    return {"model": "claude-test", "messages": [{"role": "user", "content": text}]}


async def test_a_count_comes_back_with_its_model_and_source(redis_url: str) -> None:
    answers = Answers()
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        counted = await wb.count(payload("hello"))
    assert counted.input_tokens == len(answers.bodies[0])
    assert (counted.model, counted.source, counted.cache) == ("claude-test", "api", "miss")


async def test_the_worker_sends_the_canonical_bytes(redis_url: str) -> None:
    answers = Answers()
    text = '{ "messages": [{"role":"user","content":"caf\\u00e9"}],  "model":"claude-test",'
    text += '"max_tokens": 5}'
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        await wb.count(text)
    assert json.loads(answers.bodies[0]) == payload("café")
    assert b" " not in answers.bodies[0]


async def test_a_second_count_is_a_hit_and_makes_no_call(redis_url: str) -> None:
    answers = Answers()
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        first = await wb.count(payload("hello"))
        second = await wb.count(payload("hello"))
    assert (second.cache, second.input_tokens) == ("hit", first.input_tokens)
    assert len(answers.bodies) == 1


async def test_fresh_counts_again_past_the_cache_and_the_tombstone(redis_url: str) -> None:
    answers = Answers()
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        await wb.count(payload("hello"))
        again = await wb.count(payload("hello"), fresh=True)
    assert again.cache == "miss"
    assert len(answers.bodies) == 2


async def test_ten_waiters_for_one_payload_make_one_call(redis_url: str) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    counts: list[Counted] = []
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:

        async def count() -> None:
            counts.append(await wb.count(payload("hello")))

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(count)
            await until(lambda: answers.bodies)
            answers.gate.set()
    assert len(counts) == 10
    assert len(answers.bodies) == 1
    assert [counted.cache for counted in counts].count("miss") == 1


async def test_count_many_yields_every_payload_in_order(redis_url: str) -> None:
    answers = Answers()
    payloads = [payload(f"hello {n % 70}") for n in range(200)]
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        items = [item async for item in wb.count_many(payloads, ordered=True)]
    assert [item.index for item in items] == list(range(200))
    assert all(isinstance(item.outcome, Counted) for item in items)
    assert len(answers.bodies) == 70


async def test_count_many_with_one_place_still_counts_duplicates(redis_url: str) -> None:
    payloads = [payload(f"hello {n % 3}") for n in range(9)]
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        items = [item async for item in wb.count_many(payloads, in_flight=1)]
    assert sorted(item.index for item in items) == list(range(9))


@pytest.mark.parametrize("ordered", [True, False])
async def test_count_batches_yields_the_same_items_and_few_batches(
    redis_url: str, ordered: bool
) -> None:
    payloads = [payload(f"hello {n}") for n in range(300)]
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        counted = [item.digest async for item in wb.count_many(payloads, ordered=True)]
        batches = [items async for items in wb.count_batches(payloads, ordered=ordered)]
    assert all(1 <= len(items) <= BATCH for items in batches)
    # From the cache a round trip's worth of results is there at once.
    assert len(batches) < 100
    items = [item for batch in batches for item in batch]
    if not ordered:
        items.sort(key=lambda item: item.index)
    assert [item.digest for item in items] == counted


async def test_count_batches_hands_out_what_came_before_an_error(redis_url: str) -> None:
    def payloads() -> Any:
        yield "not json"
        raise LookupError("the file is torn")

    async with Client.connect(redis_url) as wb:
        batches = wb.count_batches(payloads())
        assert [item.index for item in await anext(batches)] == [0]
        with pytest.raises(LookupError, match="torn"):
            await anext(batches)


async def test_count_many_takes_an_async_iterable(redis_url: str) -> None:
    async def payloads() -> AsyncIterator[dict[str, Any]]:
        for number in range(5):
            await anyio.lowlevel.checkpoint()
            yield payload(f"hello {number}")

    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        items = [item async for item in wb.count_many(payloads(), ordered=True)]
    assert [item.index for item in items] == list(range(5))


async def test_count_many_of_nothing_ends(redis_url: str) -> None:
    async with Client.connect(redis_url) as wb:
        assert [item async for item in wb.count_many([])] == []


async def test_count_many_gives_refused_payloads_their_place(redis_url: str) -> None:
    lines = [json.dumps(payload("a")), "not json", json.dumps(payload("b"))]
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        items = [item async for item in wb.count_many(lines, ordered=True)]
    refused = items[1]
    assert isinstance(refused.outcome, NotCountable)
    assert (refused.outcome.code, refused.digest) == ("malformed_payload", None)
    assert isinstance(items[2].outcome, Counted)


async def test_count_many_passes_the_caller_iterables_own_error_on(redis_url: str) -> None:
    def payloads() -> Any:
        yield payload("a")
        raise LookupError("the file is torn")

    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        with pytest.raises(LookupError, match="torn"):
            _ = [item async for item in wb.count_many(payloads())]
        assert (await wb.count(payload("b"))).cache == "miss"


async def test_count_many_can_be_left_early_and_the_client_goes_on(redis_url: str) -> None:
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        items = wb.count_many(payload(f"hello {n}") for n in range(500))
        async for _ in items:
            break
        await items.aclose()
        assert (await wb.count(payload("after"))).cache == "miss"
        await until(lambda: _empty(redis_url))


async def _empty(url: str) -> bool:
    return await live_jobs(url) == 0


async def test_count_many_withdraws_what_nobody_waits_for(redis_url: str) -> None:
    async with Client.connect(redis_url) as wb:
        items = wb.count_many([payload("a"), "not json"], withdraw=True)
        async for item in items:
            assert isinstance(item.outcome, NotCountable)
            await until(lambda: _one_job(redis_url))
            break
        await items.aclose()
        assert await live_jobs(redis_url) == 0


async def _one_job(url: str) -> bool:
    return await live_jobs(url) == 1


async def test_count_many_waits_while_the_queue_is_full(redis_url: str) -> None:
    settings = QueueSettings(redis_url=redis_url, max_queue=5)
    payloads = [payload(f"hello {n}") for n in range(40)]
    async with running_pool(redis_url, Answers()), Client.connect(settings=settings) as wb:
        items = [item async for item in wb.count_many(payloads)]
    assert len(items) == 40
    assert all(isinstance(item.outcome, Counted) for item in items)


async def test_count_many_waits_while_the_queue_is_full_of_bytes(redis_url: str) -> None:
    settings = QueueSettings(redis_url=redis_url, max_queue_bytes=500)
    payloads = [payload(f"hello {n}") for n in range(40)]
    async with running_pool(redis_url, Answers()), Client.connect(settings=settings) as wb:
        items = [item async for item in wb.count_many(payloads)]
    assert len(items) == 40
    assert all(isinstance(item.outcome, Counted) for item in items)


async def test_a_queue_full_of_bytes_refuses_a_submit_and_says_so(redis_url: str) -> None:
    settings = QueueSettings(redis_url=redis_url, max_queue_bytes=500)
    async with Client.connect(settings=settings) as wb:
        ticket = await wb.submit(payload("x" * 300))
        with pytest.raises(QueueFull, match="WEIGHBRIDGE_MAX_QUEUE_BYTES") as caught:
            await wb.submit(payload("y" * 300))
        assert caught.value.bound == "bytes"
        assert await wb.cancel(ticket)


async def test_a_payload_beyond_the_whole_bound_is_refused_for_good(redis_url: str) -> None:
    settings = QueueSettings(redis_url=redis_url, max_queue_bytes=500)
    async with Client.connect(settings=settings) as wb:
        with pytest.raises(PayloadTooLarge, match="the limit is 500"):
            await wb.submit(payload("x" * 500))
        [item] = [item async for item in wb.count_many([payload("x" * 500)])]
    assert item.outcome == NotCountable(code="payload_too_large", message=ANY)


async def test_a_full_queue_refuses_a_submit_with_its_depth(redis_url: str) -> None:
    settings = QueueSettings(redis_url=redis_url, max_queue=2)
    async with Client.connect(settings=settings) as wb:
        tickets = [await wb.submit(payload(f"hello {n}")) for n in range(2)]
        with pytest.raises(QueueFull) as caught:
            await wb.submit(payload("one too many"))
        assert caught.value.depth == 2
        assert [await wb.cancel(ticket) for ticket in tickets] == [True, True]


async def test_an_uncountable_payload_is_refused_before_it_becomes_a_job(redis_url: str) -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    body = {"model": "claude-test", "messages": [{"role": "user", "content": [image]}]}
    async with Client.connect(redis_url) as wb:
        with pytest.raises(NotCountablePayload, match="base64"):
            await wb.count(body)
        with pytest.raises(MalformedPayload):
            await wb.submit(b"{")
    assert await live_jobs(redis_url) == 0


async def test_a_failed_job_raises_its_code_and_the_endpoints_words(redis_url: str) -> None:
    answers = Answers(error=lambda _: PermanentFailure("invalid_request", "model: claude-test"))
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        with pytest.raises(CountFailed, match="model: claude-test") as caught:
            await wb.count(payload("hello"))
        assert caught.value.failure_code == "invalid_request"
        with pytest.raises(CountFailed):
            await wb.count(payload("hello"))
    assert len(answers.bodies) == 1, "a lasting failure is answered from the cache for a while"


async def test_a_ticket_brings_its_result_later(redis_url: str) -> None:
    async with Client.connect(redis_url) as wb:
        ticket = await wb.submit(payload("hello"))
        async with running_pool(redis_url, Answers()):
            result = await wb.result(ticket)
            assert await wb.result(ticket.digest) == result
    assert isinstance(result, Counted)


async def test_a_caller_that_stops_waiting_leaves_the_job_to_finish(redis_url: str) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        with pytest.raises(ResultTimeout):
            await wb.count(payload("hello"), timeout_s=0.2)
        answers.gate.set()
        await until(lambda: _empty(redis_url))
        assert (await wb.count(payload("hello"))).cache == "hit"


async def test_a_result_that_nobody_can_give_is_an_unknown_job(redis_url: str) -> None:
    async with Client.connect(redis_url) as wb:
        with pytest.raises(UnknownJob):
            await wb.result("0" * 64, timeout_s=30)


async def test_a_waiting_client_submits_again_what_a_lost_server_forgot(redis_url: str) -> None:
    async with connect(redis_url) as redis, Client.connect(redis_url) as wb:
        counts: list[Counted] = []

        async def count() -> None:
            counts.append(await wb.count(payload("hello"), timeout_s=60))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            await until(lambda: _one_job(redis_url))
            await redis.flushall()
            await until(lambda: _one_job(redis_url))
            await tasks.start(_pool_for_a_while, redis_url, counts)
    assert len(counts) == 1


async def _pool_for_a_while(
    url: str, counts: list[Counted], *, task_status: TaskStatus[None]
) -> None:
    async with running_pool(url, Answers()):
        task_status.started()
        await until(lambda: counts)


async def test_cancel_withdraws_only_what_nobody_else_wants(redis_url: str) -> None:
    async with Client.connect(redis_url) as one, Client.connect(redis_url) as other:
        ticket = await one.submit(payload("hello"))
        await other.submit(payload("hello"))
        assert not await one.cancel(ticket)
        assert await live_jobs(redis_url) == 1
        assert await other.cancel(ticket.digest)
    assert await live_jobs(redis_url) == 0


async def test_a_client_with_another_digest_key_is_refused(redis_url: str) -> None:
    async with running_pool(redis_url, Answers()):
        settings = QueueSettings(redis_url=redis_url, digest_key=b"another key of ours")
        with pytest.raises(ScopeMismatch, match="WEIGHBRIDGE_DIGEST_KEY"):
            async with Client.connect(settings=settings):
                pass


async def test_a_server_that_is_not_there_is_one_clear_error() -> None:
    with pytest.raises(QueueUnreachable, match="does not answer"):
        async with Client.connect("unix:///nowhere/at/all.sock"):
            pass


async def test_a_url_of_no_known_kind_is_explained() -> None:
    with pytest.raises(SettingsError, match="redis://"):
        Client.connect("http://127.0.0.1:1")


async def test_the_callers_own_exception_comes_out_as_it_is(redis_url: str) -> None:
    with pytest.raises(LookupError, match="mine"):
        async with Client.connect(redis_url):
            raise LookupError("mine")


async def test_a_cancelled_task_stays_cancelled(redis_url: str) -> None:
    """A native cancellation must not be swallowed on its way through the client and its groups."""

    async def count_for_ever() -> None:
        async with anyio.create_task_group(), Client.connect(redis_url) as wb:
            await wb.count(payload("hello"))

    task = asyncio.create_task(count_for_ever())
    await until(lambda: _one_job(redis_url))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with Client.connect(redis_url) as wb:
        ticket = await wb.submit(payload("hello"))
        async with connect(redis_url) as redis:
            await redis.flushall()
        assert ticket.cache == "joined"


async def test_a_passing_failure_is_tried_anew_by_the_next_count(redis_url: str) -> None:
    async with connect(redis_url) as redis, Client.connect(redis_url) as wb:
        ticket = await wb.submit(payload("hello"))
        await wb.cancel(ticket)
        failed = Failed(digest=ticket.digest, model="m", code="overloaded", message="", attempts=8)
        await redis.set(KEYS.result(ticket.digest), encode_result(failed), px=60_000)
        async with running_pool(redis_url, Answers()):
            assert (await wb.count(payload("hello"))).cache == "miss"


async def test_a_cut_subscription_is_renewed(redis_url: str) -> None:
    async with connect(redis_url) as redis, Client.connect(redis_url) as wb:
        assert await redis.client_kill_filter(_type="pubsub") == 1

        async def subscribed() -> bool:
            [(_, subscribers)] = await redis.pubsub_numsub(KEYS.told)
            return bool(subscribers == 1)

        await until(subscribed)
        async with running_pool(redis_url, Answers()):
            assert (await wb.count(payload("hello"))).cache == "miss"
