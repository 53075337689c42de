"""One worker's life on a real server: what becomes of its jobs, however calls and drains go."""

from typing import Any

import anyio
import pytest
from support.pools import SCOPE, Answers, live_jobs, running_pool, until

from weighbridge import Client, Counted, CountFailed, Lane, ScopeMismatch
from weighbridge.connection import connect
from weighbridge.keys import Keys
from weighbridge_worker.calls import KeyRefused, PassingFailure, Throttled

pytestmark = pytest.mark.asyncio
KEYS = Keys()


def payload(text: str) -> dict[str, Any]:
    """Make a payload of one message."""
    return {"model": "claude-test", "messages": [{"role": "user", "content": text}]}


async def _drained(url: str) -> bool:
    return await live_jobs(url) == 0


async def test_a_passing_failure_is_tried_again_with_a_new_permit(redis_url: str) -> None:
    errors = [PassingFailure("overloaded", "busy"), PassingFailure("timeout", "slow")]
    answers = Answers(error=lambda _: errors.pop() if errors else None)
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        await wb.count(payload("hello"))
    assert len(answers.bodies) == 3
    async with connect(redis_url) as redis:
        assert int(await redis.hget(KEYS.bucket, "granted") or 0) >= 3


async def test_a_job_fails_for_good_after_its_attempts(redis_url: str) -> None:
    answers = Answers(error=lambda _: PassingFailure("overloaded", "busy"))
    async with running_pool(redis_url, answers, max_attempts=2), Client.connect(redis_url) as wb:
        with pytest.raises(CountFailed) as caught:
            await wb.count(payload("hello"))
    assert caught.value.failure_code == "overloaded"
    assert len(answers.bodies) == 2


async def test_a_throttled_call_costs_its_job_no_attempt_and_pauses_the_fleet(
    redis_url: str,
) -> None:
    errors = [Throttled("rate_limited", "slow down", retry_after_s=1.0)]
    answers = Answers(error=lambda _: errors.pop() if errors else None)
    async with (
        running_pool(redis_url, answers, max_attempts=1),
        Client.connect(redis_url) as wb,
        connect(redis_url) as redis,
    ):
        counted = await wb.count(payload("hello"))
        assert await redis.hexists(KEYS.bucket, "blocked_until")
    assert counted.cache == "miss"
    assert len(answers.bodies) == 2


async def test_a_worker_that_may_leaves_an_endpoint_that_stays_down(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weighbridge_worker.pool.PATIENCE", 2)
    answers = Answers(error=lambda _: PassingFailure("http_500", "boom"))
    async with Client.connect(redis_url) as wb:
        for number in range(20):
            await wb.submit(payload(f"hello {number}"))
        with pytest.raises(ExceptionGroup) as caught:
            async with running_pool(redis_url, answers, rpm=1_200, leaves_if_refused=True):
                await anyio.sleep(60)
        assert caught.group_contains(PassingFailure, match="most calls to the endpoint fail: boom")
        assert await live_jobs(redis_url) == 20


async def test_a_refused_key_stops_the_worker_and_gives_its_jobs_back(redis_url: str) -> None:
    answers = Answers(error=lambda _: KeyRefused("key_refused", "invalid x-api-key"))
    async with Client.connect(redis_url) as wb:
        ticket = await wb.submit(payload("hello"))
        with pytest.raises(ExceptionGroup) as caught:
            async with running_pool(redis_url, answers, leaves_if_refused=True):
                await anyio.sleep_forever()
        assert caught.group_contains(KeyRefused, match="invalid x-api-key")
        assert await live_jobs(redis_url) == 1
        async with running_pool(redis_url, Answers()):
            assert isinstance(await wb.result(ticket), Counted)


async def test_a_drain_finishes_what_is_in_flight(redis_url: str) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    async with Client.connect(redis_url) as wb:
        async with running_pool(redis_url, answers) as pool:
            ticket = await wb.submit(payload("hello"))
            await until(lambda: answers.bodies)
            pool.drain()
            answers.gate.set()
        assert isinstance(await wb.result(ticket), Counted)
    assert len(answers.bodies) == 1


async def test_a_drain_gives_back_what_has_not_started(redis_url: str) -> None:
    answers = Answers()
    async with Client.connect(redis_url) as wb:
        digests = [(await wb.submit(payload(f"hello {number}"))).digest for number in range(2)]
        async with running_pool(redis_url, answers, rpm=1) as pool:
            # At one a minute the second lease waits for a slot that is a minute away.
            await until(lambda: len(answers.bodies) == 1)
            pool.drain()
        async with connect(redis_url) as redis:
            assert await redis.zcard(KEYS.ready(Lane.BATCH)) == 1
            deliveries = [await redis.hget(KEYS.job(digest), "deliveries") for digest in digests]
            assert b"0" in deliveries
            await redis.flushall()


async def test_a_stop_gives_running_calls_back_at_once(redis_url: str) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    async with Client.connect(redis_url) as wb:
        async with running_pool(redis_url, answers) as pool:
            ticket = await wb.submit(payload("hello"))
            await until(lambda: answers.bodies)
            pool.stop()
        async with connect(redis_url) as redis:
            assert await redis.zcard(KEYS.leased) == 0
        async with running_pool(redis_url, Answers()):
            assert isinstance(await wb.result(ticket), Counted)


async def test_a_worker_that_left_is_off_the_list(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        async with running_pool(redis_url, Answers()):
            await until(lambda: _listed(redis_url))
        assert await redis.zcard(KEYS.workers) == 0


async def _listed(url: str) -> bool:
    async with connect(url) as redis:
        return bool(await redis.zcard(KEYS.workers) == 1)


async def test_a_worker_with_another_scope_refuses_to_start(redis_url: str) -> None:
    async with running_pool(redis_url, Answers()):
        with pytest.raises(ExceptionGroup) as caught:
            async with running_pool(
                redis_url, Answers(), scope=SCOPE | {"base_url": "https://elsewhere"}
            ):
                pass
    assert caught.group_contains(ScopeMismatch, match="base_url")


async def test_a_payload_that_vanished_fails_its_job_without_a_call(redis_url: str) -> None:
    answers = Answers()
    async with connect(redis_url) as redis, Client.connect(redis_url) as wb:
        ticket = await wb.submit(payload("hello"))
        await redis.delete(KEYS.payload(ticket.digest))
        async with running_pool(redis_url, answers):
            result = await wb.result(ticket)
    assert getattr(result, "code", "") == "payload_missing"
    assert answers.bodies == []


async def test_a_server_that_goes_away_for_a_while_is_waited_for(redis_url: str) -> None:
    async with (
        connect(redis_url) as redis,
        running_pool(redis_url, Answers()),
        Client.connect(redis_url) as wb,
    ):
        assert await redis.client_kill_filter(_type="normal", skipme=True) > 0
        assert (await wb.count(payload("hello"))).cache == "miss"
        await until(lambda: _drained(redis_url))


async def test_a_bug_in_a_call_does_not_end_the_worker(redis_url: str) -> None:
    errors = [RuntimeError("a bug")]
    answers = Answers(error=lambda _: errors.pop() if errors else None)
    async with (
        connect(redis_url) as redis,
        Client.connect(redis_url) as wb,
        running_pool(redis_url, answers),
    ):
        broken = await wb.submit(payload("hello"))
        await until(lambda: answers.bodies)
        assert (await wb.count(payload("another"))).cache == "miss"
        # Its lease is left to end; here we end it.
        await redis.zadd(KEYS.leased, {broken.digest: 1})
        await redis.rpush(KEYS.doorbell, 1)
        assert isinstance(await wb.result(broken), Counted)


async def test_sixteen_places_are_all_used_and_never_more(redis_url: str) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    async with Client.connect(redis_url) as wb:
        for number in range(40):
            await wb.submit(payload(f"hello {number}"))
        async with running_pool(redis_url, answers, concurrency=16):
            await until(lambda: len(answers.bodies) == 16)
            async with connect(redis_url) as redis:
                assert await redis.zcard(KEYS.leased) == 16
            answers.gate.set()
            await until(lambda: _drained(redis_url))
    assert len(answers.bodies) == 40


async def test_a_living_worker_writes_the_scope_again_that_an_empty_server_lost(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weighbridge_worker.scope_keeper.SCOPE_EVERY_S", 0.01)
    async with running_pool(redis_url, Answers()), connect(redis_url) as redis:
        await redis.delete(KEYS.scope)

        async def stands_again() -> bool:
            return bool(await redis.exists(KEYS.scope))

        await until(stands_again)
        assert await redis.hget(KEYS.scope, "base_url") == SCOPE["base_url"].encode()


async def test_a_worker_leaves_a_namespace_that_has_another_scope_by_now(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weighbridge_worker.scope_keeper.SCOPE_EVERY_S", 0.01)
    async with connect(redis_url) as redis:

        async def wait_for_another_scope() -> None:
            async with running_pool(redis_url, Answers()):
                await redis.hset(KEYS.scope, "base_url", "another")
                await anyio.sleep(60)

        with pytest.raises(ExceptionGroup) as caught:
            await wait_for_another_scope()
    assert caught.group_contains(ScopeMismatch, match="weighbridge scope reset")
