"""The TypeScript SDK as npm has it, against a real gateway."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from support.gateway_under_test import ALICE, running_gateway, tokens_file
from support.node import install, run_node

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]
PARAMS = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module", autouse=True)
def node() -> None:
    """Install the SDK, or skip."""
    install()


async def count(base_url: str, token: str, **asked: Any) -> dict[str, Any]:
    """Let node count once."""
    run = partial(run_node, "count_tokens.mjs", base_url, token, json.dumps(asked))
    told: dict[str, Any] = json.loads(await to_thread.run_sync(run))
    return told


async def test_it_counts_with_and_without_betas(redis_url: str, tmp_path: Path) -> None:
    async with running_gateway(redis_url, tokens_file=tokens_file(tmp_path)) as gateway:
        plain = await count(gateway.base_url, ALICE, params=PARAMS)
        beta = await count(gateway.base_url, ALICE, params=PARAMS, betas=["some-beta-2026-01-01"])
        again = await count(gateway.base_url, ALICE, params=PARAMS)
    assert plain["data"]["input_tokens"] == beta["data"]["input_tokens"] > 0
    assert plain["requestId"] == plain["headers"]["request-id"]
    caches = [told["headers"]["x-weighbridge-cache"] for told in (plain, beta, again)]
    assert caches == ["miss", "miss", "hit"]
    assert len({told["headers"]["x-weighbridge-digest"] for told in (plain, beta, again)}) == 2


async def test_it_reads_our_errors_as_the_apis(redis_url: str, tmp_path: Path) -> None:
    url = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    remote = PARAMS | {"messages": [{"role": "user", "content": [url]}]}
    async with running_gateway(redis_url, tokens_file=tokens_file(tmp_path)) as gateway:
        refused = await count(gateway.base_url, "wrong-wrong-wrong", params=PARAMS)
        invalid = await count(gateway.base_url, ALICE, params=remote)
    assert (refused["class"], refused["status"]) == ("AuthenticationError", 401)
    assert refused["type"] == "authentication_error"
    assert (invalid["class"], invalid["status"]) == ("BadRequestError", 400)
    assert invalid["requestID"].startswith("req_")


async def test_its_patience_ends_in_a_rate_limit_error(redis_url: str, tmp_path: Path) -> None:
    async with running_gateway(redis_url, pool=False, tokens_file=tokens_file(tmp_path)) as gateway:
        told = await count(
            gateway.base_url, ALICE, params=PARAMS, headers={"x-weighbridge-patience": "0.2"}
        )
    assert (told["class"], told["type"]) == ("RateLimitError", "rate_limit_error")
