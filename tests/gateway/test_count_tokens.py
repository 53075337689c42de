"""The drop-in endpoint, asked by the Python SDK as it is."""

from functools import partial
from typing import Any

import anthropic
import anyio
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anyio import to_thread
from redis.asyncio import Redis
from support.gateway_under_test import GatewayUnderTest, running_gateway
from support.pools import live_jobs, until

from weighbridge.digest import digest_of
from weighbridge.keys import Keys
from weighbridge.payload import check_payload
from weighbridge.records import Lane

pytestmark = pytest.mark.asyncio
MODEL = "claude-sonnet-5-5"
BETA = "some-beta-2026-01-01"


def ask(text: str = "Hello, world") -> dict[str, Any]:
    """Make the arguments of a call."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]}


def sdk(gateway: GatewayUnderTest, **settings: Any) -> AsyncAnthropic:
    """Make a client that differs from any other by its base URL alone."""
    return AsyncAnthropic(base_url=gateway.base_url, api_key="any", **settings)


async def test_the_async_sdk_counts(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, sdk(gateway) as client:
        counted = await client.messages.count_tokens(**ask())
        assert isinstance(counted, anthropic.types.MessageTokensCount)
        assert counted.input_tokens > 0
        assert len(gateway.stand_in.ledger.attempts) == 1


async def test_the_sync_sdk_counts(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway:

        def count() -> int:
            with Anthropic(base_url=gateway.base_url, api_key="any") as client:
                return client.messages.count_tokens(**ask()).input_tokens

        assert await to_thread.run_sync(count) > 0


async def test_the_answer_says_how_it_was_come_by(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, sdk(gateway) as client:
        first = await client.messages.with_raw_response.count_tokens(**ask())
        again = await client.messages.with_raw_response.count_tokens(**ask())
    assert await first.parse() == await again.parse()
    heads = [first.headers, again.headers]
    assert [head["x-weighbridge-cache"] for head in heads] == ["miss", "hit"]
    assert [head["x-weighbridge-source"] for head in heads] == ["estimate", "estimate"]
    assert all(float(head["x-weighbridge-wait"]) >= 0 for head in heads)
    assert heads[0]["request-id"] != heads[1]["request-id"]
    assert heads[0]["request-id"].startswith("req_")
    wanted = digest_of(check_payload(ask()))
    assert [head["x-weighbridge-digest"] for head in heads] == [wanted, wanted]
    assert dict(gateway.gateway.tally.cache) == {"miss": 1, "hit": 1}


async def test_betas_are_part_of_the_digest(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, sdk(gateway) as client:
        answer = await client.beta.messages.with_raw_response.count_tokens(**ask(), betas=[BETA])
        alone = await client.beta.messages.with_raw_response.count_tokens(**ask())
    digest = digest_of(check_payload(ask(), betas=[BETA]))
    assert answer.headers["x-weighbridge-digest"] == digest
    assert alone.headers["x-weighbridge-digest"] == digest_of(check_payload(ask()))


async def test_who_asks_for_what_is_under_way_joins(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, sdk(gateway) as client:
        gateway.stand_in.gate.close()
        caches: list[str] = []

        async def count() -> None:
            answer = await client.messages.with_raw_response.count_tokens(**ask())
            caches.append(answer.headers["x-weighbridge-cache"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            with anyio.fail_after(30):
                await gateway.stand_in.gate.holds(1)
            tasks.start_soon(count)
            tasks.start_soon(count)
            await until(lambda: _waiting(gateway) == 3)
            gateway.stand_in.gate.open()
        assert sorted(caches) == ["joined", "joined", "miss"]
        assert len(gateway.stand_in.ledger.attempts) == 1


def _waiting(gateway: GatewayUnderTest) -> int:
    """Count who waits for a job that is in the queue."""
    expected = gateway.gateway.client._mailbox._expected
    return sum(one.submitted for waiting in expected.values() for one in waiting)


@pytest.mark.parametrize("lane", list(Lane))
async def test_a_header_chooses_the_lane(redis_url: str, lane: Lane) -> None:
    headers = {"x-weighbridge-lane": lane, "x-weighbridge-patience": "0.1"}
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        sdk(gateway, max_retries=0) as client,
        Redis.from_url(redis_url) as redis,
    ):
        with pytest.raises(anthropic.RateLimitError):
            await client.messages.count_tokens(**ask(), extra_headers=headers)
        assert await redis.zcard(Keys().ready(lane)) == 1
        await redis.flushall()


async def test_patience_ends_and_the_job_goes_on(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, sdk(gateway, max_retries=0) as client:
        gateway.stand_in.gate.close()
        with pytest.raises(anthropic.RateLimitError) as caught:
            await client.messages.count_tokens(
                **ask(), extra_headers={"x-weighbridge-patience": "0.3"}
            )
        assert caught.value.error_code == "result_timeout"
        assert caught.value.type == "rate_limit_error"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        digest = digest_of(check_payload(ask()))
        assert caught.value.response.headers["x-weighbridge-digest"] == digest
        gateway.stand_in.gate.open()
        await until(lambda: _idle(redis_url))
        answer = await client.messages.with_raw_response.count_tokens(**ask())
        assert answer.headers["x-weighbridge-cache"] == "hit"


async def _idle(url: str) -> bool:
    return await live_jobs(url) == 0


async def test_the_sdks_own_retries_carry_it_over_a_short_patience(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, patience_s=0.5) as gateway,
        sdk(gateway, max_retries=5) as client,
    ):
        gateway.stand_in.gate.close()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_open_after_a_refusal, gateway)
            assert (await client.messages.count_tokens(**ask())).input_tokens > 0
        assert len(gateway.stand_in.ledger.attempts) == 1


async def _open_after_a_refusal(gateway: GatewayUnderTest) -> None:
    await until(lambda: gateway.gateway.tally.statuses[429], within_s=30)
    gateway.stand_in.gate.open()


async def test_a_client_that_leaves_is_waited_for_no_longer(redis_url: str) -> None:
    async with running_gateway(redis_url, pool=False) as gateway, sdk(gateway) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(client.messages.count_tokens, **ask()))
            await until(lambda: live_jobs(redis_url))
            assert gateway.gateway.bodies.held > 0
            tasks.cancel_scope.cancel()
        await until(lambda: gateway.gateway.tally.statuses[499] == 1)
        assert gateway.gateway.bodies.held == 0
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()
