"""What goes wrong comes out in the API's shapes, and the SDK raises what it raises for the API."""

from typing import Any

import anthropic
import httpx2
import pytest
from redis.asyncio import Redis
from support.gateway_under_test import (
    COUNT_PATH,
    GatewayUnderTest,
    only_gateway,
    running_gateway,
)
from support.own_server import own_server
from support.pools import until

from weighbridge.settings import QueueSettings
from weighbridge_worker.sandbox import sandbox
from weighbridge_worker.sandbox.request_check import MISSING_MODEL

pytestmark = pytest.mark.asyncio
HELLO = {"role": "user", "content": "Hello"}
ASK = {"model": "claude-sonnet-5-5", "messages": [HELLO]}
MIB = 2**20


async def refused(gateway: GatewayUnderTest, asked: Any) -> anthropic.APIStatusError:
    """Ask, and return what the SDK raises."""
    async with anthropic.AsyncAnthropic(
        base_url=gateway.base_url, api_key="any", max_retries=0
    ) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.count_tokens(**asked)
    error = caught.value
    assert error.request_id == error.response.json()["request_id"]
    assert error.response.headers["content-type"] == "application/json"
    return error


def told(error: anthropic.APIStatusError) -> tuple[int, str | None, str | None]:
    """Give what a caller branches on."""
    return error.status_code, error.type, error.error_code


async def test_what_cannot_be_counted_is_an_invalid_request(redis_url: str) -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    async with running_gateway(redis_url) as gateway:
        error = await refused(gateway, ASK | {"messages": [HELLO | {"content": [image]}]})
        assert told(error) == (400, "invalid_request_error", "not_countable")
        assert isinstance(error, anthropic.BadRequestError)
        assert not gateway.stand_in.ledger.attempts


async def test_a_malformed_payload_is_an_invalid_request(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway:
        error = await refused(gateway, ASK | {"messages": []})
    assert told(error) == (400, "invalid_request_error", "malformed_payload")


async def test_what_the_api_refuses_comes_with_its_status(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway:
        error = await refused(gateway, ASK | {"model": MISSING_MODEL})
        assert isinstance(error, anthropic.NotFoundError)
        assert told(error) == (404, "not_found_error", "not_found")
        wrong = await refused(gateway, ASK | {"tools": [{"name": "a b", "input_schema": {}}]})
        assert told(wrong) == (400, "invalid_request_error", "invalid_request")
        assert len(wrong.response.headers["x-weighbridge-digest"]) == 64


async def test_a_full_queue_is_overloaded(redis_url: str) -> None:
    queue = QueueSettings(redis_url=redis_url, max_queue=1)
    async with running_gateway(redis_url, pool=False, queue=queue) as gateway:
        await gateway.gateway.client.submit(ASK)
        error = await refused(gateway, ASK | {"messages": [HELLO, HELLO]})
        assert told(error) == (529, "overloaded_error", "queue_full")
        assert int(error.response.headers["retry-after"]) >= 1
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()


async def test_a_queue_that_is_gone_is_unavailable_and_not_ready(tmp_path: Any) -> None:
    with own_server(tmp_path) as server:
        async with (
            sandbox() as stand_in,
            only_gateway(server.url, stand_in) as gateway,
            httpx2.AsyncClient(base_url=gateway.base_url) as client,
        ):
            assert (await client.get("/ready")).status_code == 200
            server.stop()
            error = await refused(gateway, ASK)
            assert told(error) == (503, "api_error", "queue_unreachable")
            assert "redis" not in str(error).lower()
            await until(lambda: _unready(client))
            assert (await client.get("/live")).status_code == 200


async def _unready(client: httpx2.AsyncClient) -> bool:
    return (await client.get("/ready")).status_code == 503


async def test_an_announced_body_is_refused_before_it_is_read(redis_url: str) -> None:
    async with running_gateway(redis_url, pool=False) as gateway:
        error = await refused(gateway, ASK | {"system": "x" * (32 * MIB)})
        assert told(error) == (413, "request_too_large", "payload_too_large")
        assert gateway.gateway.bodies.held == 0


async def test_a_body_without_a_length_is_read_no_further_than_the_bound(redis_url: str) -> None:
    async def pieces() -> Any:
        for _ in range(33):
            yield b" " * MIB

    async with (
        running_gateway(redis_url, pool=False) as gateway,
        httpx2.AsyncClient(base_url=gateway.base_url) as client,
    ):
        answer = await client.post(COUNT_PATH, content=pieces())
        assert answer.status_code == 413
        assert answer.json()["error"]["type"] == "request_too_large"
        assert gateway.gateway.bodies.held == 0


async def test_unknown_paths_and_methods_answer_in_the_same_shape(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        httpx2.AsyncClient(base_url=gateway.base_url) as client,
    ):
        missing = await client.get("/v1/nothing")
        wrong = await client.get(COUNT_PATH)
        slash = await client.post(COUNT_PATH + "/", json=ASK)
        preflight = await client.options(
            COUNT_PATH,
            headers={"origin": gateway.base_url, "access-control-request-method": "POST"},
        )
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert slash.status_code == 404
    assert preflight.status_code == 405
    for answer in (missing, wrong, slash, preflight):
        assert answer.json()["request_id"] == answer.headers["request-id"]
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-weighbridge-lane", "fast"),
        ("x-weighbridge-patience", "soon"),
        ("x-weighbridge-patience", "nan"),
        ("x-weighbridge-patience", "-1"),
        ("x-weighbridge-patience", "0"),
        ("content-encoding", "gzip"),
    ],
)
async def test_a_header_that_makes_no_sense_is_refused(
    redis_url: str, header: str, value: str
) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        httpx2.AsyncClient(base_url=gateway.base_url) as client,
    ):
        answer = await client.post(COUNT_PATH, json=ASK, headers={header: value})
    assert answer.status_code in {400, 415}
    assert header in answer.json()["error"]["message"]
