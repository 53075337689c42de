"""The drop-in endpoint, asked by the Python SDK as it is."""

import anthropic
import pytest
from anthropic import AsyncAnthropic
from support.gateway_under_test import running_gateway

pytestmark = pytest.mark.asyncio
MODEL = "claude-sonnet-5-5"


async def test_the_sdk_counts_through_the_gateway(redis_url: str) -> None:
    async with (
        running_gateway(redis_url) as gateway,
        AsyncAnthropic(base_url=gateway.base_url, api_key="any") as client,
    ):
        counted = await client.messages.count_tokens(
            model=MODEL, messages=[{"role": "user", "content": "Hello, world"}]
        )
    assert isinstance(counted, anthropic.types.MessageTokensCount)
    assert counted.input_tokens > 0
