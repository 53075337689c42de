"""A caller's trace goes through the gateway and the worker to the call."""

import aiohttp
import pytest
from opentelemetry.trace import SpanKind
from support.gateway_under_test import COUNT_PATH, running_gateway
from support.pools import until
from tracing.recorded import Recorded, attributes, ids, parent

from weighbridge.connection import connect
from weighbridge.keys import Keys
from weighbridge_worker.spans import COUNT_SPAN

pytestmark = pytest.mark.asyncio

PROCESS = "process weighbridge"
REQUEST = f"POST {COUNT_PATH}"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
HELLO = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "hello"}]}


async def test_one_trace_goes_from_the_caller_to_the_call(redis_url: str) -> None:
    spans = Recorded()
    async with (
        running_gateway(redis_url, tracer=spans.tracer()) as gateway,
        aiohttp.ClientSession() as session,
    ):
        for _ in range(2):
            async with session.post(
                gateway.base_url + COUNT_PATH, json=HELLO, headers=HEADERS
            ) as answer:
                assert answer.status == 200
        await until(lambda: len(spans.named(REQUEST)) == 2 and spans.named(PROCESS))
    miss, hit = spans.named(REQUEST)
    [job] = spans.named(PROCESS)
    [call] = spans.named(COUNT_SPAN)
    assert parent(miss) == parent(hit) == (int(TRACE, 16), int(SPAN, 16))
    assert (parent(job), parent(call)) == (ids(miss), ids(job))
    assert miss.kind is SpanKind.SERVER
    assert attributes(miss)["http.response.status_code"] == 200


async def test_a_gateway_that_does_not_trace_passes_the_context_on(redis_url: str) -> None:
    keys = Keys()
    async with (
        running_gateway(redis_url, pool=False, patience_s=0.1) as gateway,
        aiohttp.ClientSession() as session,
        connect(redis_url) as redis,
    ):
        async with session.post(
            gateway.base_url + COUNT_PATH, json=HELLO, headers=HEADERS
        ) as answer:
            assert answer.status == 429
            digest = answer.headers["x-weighbridge-digest"]
        trace = await redis.hget(keys.job(digest), "trace")
        await gateway.gateway.client.cancel(digest)
    assert trace == f"{HEADERS['traceparent']} {HEADERS['tracestate']}".encode()


async def test_a_path_that_somebody_made_up_names_no_span(redis_url: str) -> None:
    spans = Recorded()
    async with (
        running_gateway(redis_url, pool=False, tracer=spans.tracer()) as gateway,
        aiohttp.ClientSession() as session,
        session.get(gateway.base_url + "/made/up?secret=1") as answer,
    ):
        assert answer.status == 404
    [request] = spans.named("GET")
    assert attributes(request)["http.response.status_code"] == 404
    assert "made" not in request.to_json()
