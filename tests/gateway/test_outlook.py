"""When a caller is told to come back: by the depth before it and the rate that is permitted."""

from dataclasses import replace
from typing import Any

import anthropic
import pytest
from redis.asyncio import Redis
from support import pool_states
from support.gateway_under_test import running_gateway

from weighbridge.admin import PoolState, WorkerState
from weighbridge.bucket import BucketState
from weighbridge.records import Lane
from weighbridge_worker.gateway.api_errors import whole_seconds
from weighbridge_worker.gateway.outlook import UNKNOWN_S, view_of

LIMIT = replace(pool_states.FULL, rpm=600)


def pool(limit: BucketState = LIMIT, **given: Any) -> PoolState:
    """Make a pool's state."""
    empty: dict[str, Any] = {
        "interactive": 0,
        "batch": 0,
        "leased": 0,
        "later": 0,
        "queue_bytes": 0,
        "dead": 0,
        "dead_codes": {},
        "inbox": 0,
        "cached": None,
        "scope": {},
        "workers": (WorkerState("w", "1", 1, "taking", 0.0),),
    }
    return PoolState(limit=limit, **{**empty, **given})


@pytest.mark.parametrize(
    ("state", "lane", "wanted"),
    [
        (pool(interactive=30), Lane.INTERACTIVE, 3.0),
        (pool(interactive=30, leased=10), Lane.INTERACTIVE, 4.0),
        (pool(interactive=27, batch=5000), Lane.INTERACTIVE, 3.0),
        (pool(interactive=30, batch=570), Lane.BATCH, 60.0),
        (pool(replace(LIMIT, share=0.5), interactive=30), Lane.INTERACTIVE, 6.0),
        (pool(replace(LIMIT, blocked_s=7.0), interactive=30), Lane.INTERACTIVE, 10.0),
        (pool(replace(LIMIT, paused=True)), Lane.INTERACTIVE, UNKNOWN_S),
        (pool(replace(LIMIT, hold="failing")), Lane.BATCH, UNKNOWN_S),
        (pool(replace(LIMIT, rpm=0)), Lane.BATCH, UNKNOWN_S),
        (pool(workers=()), Lane.INTERACTIVE, UNKNOWN_S),
    ],
)
def test_the_wait_follows_from_depth_and_rate(state: PoolState, lane: Lane, wanted: float) -> None:
    assert view_of(state, lane).ready_in_s == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("wait_s", "said"), [(0, 1), (0.2, 1), (1.0, 1), (1.1, 2), (59.9, 60), (1e9, 86_400)]
)
def test_a_wait_is_told_in_whole_seconds(wait_s: float, said: int) -> None:
    assert whole_seconds(wait_s) == said


@pytest.mark.asyncio
async def test_the_answer_has_it_from_the_queue_as_it_stands(redis_url: str) -> None:
    async with running_gateway(redis_url, rpm=60) as gateway:
        gateway.stand_in.gate.close()
        client = gateway.gateway.client
        for number in range(40):
            message = {"role": "user", "content": f"payload {number}"}
            await client.submit({"model": "m", "messages": [message]}, lane=Lane.INTERACTIVE)
        async with anthropic.AsyncAnthropic(
            base_url=gateway.base_url, api_key="any", max_retries=0
        ) as sdk:
            with pytest.raises(anthropic.RateLimitError) as caught:
                await sdk.messages.count_tokens(
                    model="m",
                    messages=[{"role": "user", "content": "late"}],
                    extra_headers={"x-weighbridge-patience": "1"},
                )
        # None of the 41 is answered while the gate is shut; one may wait for its next attempt.
        assert 40 <= int(caught.value.response.headers["retry-after"]) <= 46
        assert "at 60 a minute" in str(caught.value)
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()
        gateway.stand_in.gate.open()
