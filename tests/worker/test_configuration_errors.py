"""Errors of a worker's configuration are no result: they leave nothing in the cache."""

import pytest
from redis.asyncio import Redis
from support.pools import Answers, running_pool, until

from weighbridge import Client, Counted, CountFailed
from weighbridge.keys import Keys
from weighbridge_worker.calls import KeyRefused, PermanentFailure, Throttled

pytestmark = pytest.mark.asyncio
KEYS = Keys()
HELLO = {"model": "claude-test", "messages": [{"role": "user", "content": "hello"}]}

REFUSALS = [
    KeyRefused("key_refused", "invalid x-api-key"),
    KeyRefused("forbidden", "no access"),
    KeyRefused("payment_required", "no credit"),
    Throttled("rate_limited", "slow down", retry_after_s=60),
    Throttled("spend_limit", "the limit is reached", retry_after_s=60, hold="spend_limit"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.failure_code)
async def test_a_refused_call_leaves_its_job_queued_and_no_result(
    redis_url: str, refusal: Exception
) -> None:
    refusing = Answers(error=lambda _: refusal)
    async with Redis.from_url(redis_url) as redis, Client.connect(redis_url) as wb:
        ticket = await wb.submit(HELLO)
        async with running_pool(redis_url, refusing):
            await until(lambda: refusing.bodies)
            await until(lambda: is_ready_again(redis, ticket.digest))
        assert not await redis.exists(KEYS.result(ticket.digest))
        assert await redis.hget(KEYS.job(ticket.digest), "attempts") == b"0"
        assert await redis.xlen(KEYS.dead) == 0
        assert await wb.cancel(ticket)


async def test_a_model_that_was_not_found_is_looked_for_again(redis_url: str) -> None:
    unknown = Answers(error=lambda _: PermanentFailure("not_found", "model: claude-test"))
    async with Client.connect(redis_url) as wb:
        async with running_pool(redis_url, unknown):
            with pytest.raises(CountFailed, match="not_found"):
                await wb.count(HELLO)
        async with running_pool(redis_url, Answers()):
            assert isinstance(await wb.count(HELLO), Counted)


async def is_ready_again(redis: Redis, digest: str) -> bool:
    """Whether a job that was leased is back in its lane."""
    return await redis.zscore(KEYS.prefix + "ready:batch", digest) is not None
