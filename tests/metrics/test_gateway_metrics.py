"""``GET /metrics`` of a gateway: for operators, by convention, and told of on the page."""

from pathlib import Path

import aiohttp
import pytest
from metrics.exposition import check_by_promtool, on_the_page, read, value
from support.gateway_under_test import ALICE, COUNT_PATH, OPERATOR, running_gateway, tokens_file

pytestmark = pytest.mark.asyncio

HELLO = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "hello"}]}


async def text_of_a_gateway(redis_url: str) -> bytes:
    """Give what a gateway tells that answered a miss, a hit and a refusal."""
    async with running_gateway(redis_url) as gateway, aiohttp.ClientSession() as session:
        for body in (HELLO, HELLO, {}):
            async with session.post(gateway.base_url + COUNT_PATH, json=body) as answer:
                await answer.read()
        async with session.get(gateway.base_url + "/metrics") as answer:
            assert answer.status == 200
            assert answer.headers["content-type"].startswith("text/plain; version=")
            return await answer.read()


async def test_the_numbers_are_what_happened(redis_url: str) -> None:
    text = await text_of_a_gateway(redis_url)
    assert value(text, "weighbridge_gateway_requests_total", status="200") == 2
    assert value(text, "weighbridge_gateway_requests_total", status="400") == 1
    for cache, counts in (("miss", 1), ("hit", 1), ("joined", 0)):
        assert value(text, "weighbridge_gateway_counts_total", cache=cache) == counts
    assert value(text, "weighbridge_gateway_count_duration_seconds_count") == 2
    assert value(text, "weighbridge_queue_workers", state="taking") == 1


async def test_the_page_tells_of_every_metric_and_of_no_other(redis_url: str) -> None:
    text = await text_of_a_gateway(redis_url)
    told = on_the_page("weighbridge_")
    workers = on_the_page("weighbridge_worker_")
    # Without a dead letter there is no code.
    assert set(read(text)) == set(told) - set(workers)


async def test_promtool_finds_no_fault(redis_url: str) -> None:
    check_by_promtool(await text_of_a_gateway(redis_url))


async def test_only_an_operator_may_look(redis_url: str, tmp_path: Path) -> None:
    statuses = []
    async with (
        running_gateway(redis_url, tokens_file=tokens_file(tmp_path)) as gateway,
        aiohttp.ClientSession() as session,
    ):
        for token in ("", ALICE, OPERATOR):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with session.get(gateway.base_url + "/metrics", headers=headers) as answer:
                statuses.append(answer.status)
    assert statuses == [401, 403, 200]
