"""Who may ask; whoever is refused leaves no trace and learns nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from redis.asyncio import Redis
from support.gateway_under_test import (
    ALICE,
    BOB,
    COUNT_PATH,
    OPERATOR,
    TOKENS,
    GatewayUnderTest,
    running_gateway,
    tokens_file,
)

pytestmark = pytest.mark.asyncio
ASK = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "canary"}]}


@asynccontextmanager
async def asked(
    url: str, folder: Path, *, text: str = TOKENS, **settings: Any
) -> AsyncIterator[tuple[GatewayUnderTest, httpx2.AsyncClient]]:
    """Run a gateway with tokens, and a client that has none."""
    async with (
        running_gateway(url, tokens_file=tokens_file(folder, text), **settings) as gateway,
        httpx2.AsyncClient(base_url=gateway.base_url) as client,
    ):
        yield gateway, client


async def untouched(url: str) -> bool:
    """Whether no payload has reached the queue's server."""
    async with Redis.from_url(url) as redis:
        return not [key async for key in redis.scan_iter(match="*payload*")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ""},
        {"x-api-key": "wrong-wrong-wrong-wrong"},
        {"x-api-key": ALICE[:-1]},
        {"x-api-key": ALICE + "x"},
        {"x-api-key": ALICE.upper()},
        {"authorization": f"Basic {ALICE}"},
        {"authorization": ALICE},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong-wrong-wrong-wrong"},
        {"cookie": f"x-api-key={ALICE}"},
    ],
)
async def test_without_a_right_token_nothing_is_counted(
    redis_url: str, tmp_path: Path, headers: dict[str, str]
) -> None:
    async with asked(redis_url, tmp_path, pool=False) as (gateway, client):
        answer = await client.post(COUNT_PATH, json=ASK, headers=headers)
        query = await client.post(f"{COUNT_PATH}?x-api-key={ALICE}", json=ASK, headers=headers)
        assert await untouched(redis_url)
        assert gateway.gateway.bodies.held == 0
    for refused in (answer, query):
        assert refused.status_code == 401
        assert refused.json()["error"]["type"] == "authentication_error"
        assert "alice" not in refused.text
        assert not any(name.startswith("x-weighbridge") for name in refused.headers)


async def test_the_body_of_a_stranger_is_not_waited_for(redis_url: str, tmp_path: Path) -> None:
    async with (
        asked(redis_url, tmp_path, pool=False) as (gateway, _),
        await anyio.connect_tcp("127.0.0.1", gateway.server.port) as stream,
    ):
        head = f"POST {COUNT_PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
        await stream.send(head.encode())
        with anyio.fail_after(30):
            assert (await stream.receive()).startswith(b"HTTP/1.1 401 ")


async def test_a_token_goes_in_either_header(redis_url: str, tmp_path: Path) -> None:
    async with asked(redis_url, tmp_path) as (_, client):
        for headers in ({"x-api-key": ALICE}, {"authorization": f"bearer {ALICE}"}):
            answer = await client.post(COUNT_PATH, json=ASK, headers=headers)
            assert answer.status_code == 200


async def test_tenants_share_no_counts_unless_the_file_says_so(
    redis_url: str, tmp_path: Path
) -> None:
    shared = TOKENS.replace("[tenants.bob]", '[tenants.bob]\npartition = "alice"')
    seen = {}
    for name, text in (("apart", TOKENS), ("shared", shared)):
        folder = tmp_path / name
        folder.mkdir()
        async with asked(redis_url, folder, text=text) as (_, client):
            payload = ASK | {"system": name}
            answers = [
                await client.post(COUNT_PATH, json=payload, headers={"x-api-key": token})
                for token in (ALICE, BOB)
            ]
            seen[name] = [answer.headers["x-weighbridge-cache"] for answer in answers]
    assert seen == {"apart": ["miss", "miss"], "shared": ["miss", "hit"]}


async def test_a_tenant_keeps_to_its_lane(redis_url: str, tmp_path: Path) -> None:
    async with asked(redis_url, tmp_path) as (_, client):
        headers = {"x-api-key": BOB, "x-weighbridge-lane": "interactive"}
        answer = await client.post(COUNT_PATH, json=ASK, headers=headers)
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
        headers["x-weighbridge-lane"] = "batch"
        assert (await client.post(COUNT_PATH, json=ASK, headers=headers)).status_code == 200


async def test_a_tenant_keeps_to_its_rate(redis_url: str, tmp_path: Path) -> None:
    text = TOKENS.replace("[tenants.bob]", "[tenants.bob]\nrate = 1")
    async with asked(redis_url, tmp_path, text=text) as (_, client):
        first = await client.post(COUNT_PATH, json=ASK, headers={"x-api-key": BOB})
        second = await client.post(COUNT_PATH, json=ASK, headers={"x-api-key": BOB})
        other = await client.post(COUNT_PATH, json=ASK, headers={"x-api-key": ALICE})
    assert [first.status_code, second.status_code, other.status_code] == [200, 429, 200]
    assert second.json()["error"]["details"]["error_code"] == "tenant_rate"
    assert 1 <= int(second.headers["retry-after"]) <= 60


@pytest.mark.parametrize("path", ["/live", "/ready"])
async def test_probes_need_no_token(redis_url: str, tmp_path: Path, path: str) -> None:
    async with asked(redis_url, tmp_path, pool=False) as (_, client):
        assert (await client.get(path)).status_code == 200


TRICKS = [
    b"/v1/messages/count_tokens/",
    b"//v1/messages/count_tokens",
    b"/v1//messages/count_tokens",
    b"/V1/MESSAGES/COUNT_TOKENS",
    b"/live/../v1/messages/count_tokens",
    b"/v1/messages/../messages/count_tokens",
    b"/live/..%2fv1%2fmessages%2fcount_tokens",
    b"/v1%2fmessages%2fcount_tokens",
    b"/v1/messages/count_tokens%00",
    b"/v1/messages/count_tokens%2e",
    b"/v1/messages/count_tokens;live",
    b"/v1/messages/count_tokens?/live",
    b"/live%3f/v1/messages/count_tokens",
    b"/%2e%2e/%2e%2e/etc/passwd",
    b"/../../../../etc/passwd",
    b"http://127.0.0.1/v1/messages/count_tokens",
    b"http://evil.example/live/../v1/messages/count_tokens",
    b"/%ff%fe",
    b"*",
]


async def test_no_spelling_of_a_path_gets_past(redis_url: str, tmp_path: Path) -> None:
    async with asked(redis_url, tmp_path, pool=False) as (gateway, _):
        for method in (b"POST", b"GET", b"PUT"):
            for path in TRICKS:
                answer = await _raw(gateway.server.port, method, path)
                status = int(answer.split(b" ", 2)[1])
                assert 400 <= status < 500, (method, path, answer)
                assert b"root:" not in answer
        assert await untouched(redis_url)


async def _raw(port: int, method: bytes, path: bytes) -> bytes:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        body = b'{"model":"m","messages":[{"role":"user","content":"canary"}]}'
        head = b"%b %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        await stream.send(head % (method, path, len(body)) + body)
        answer = b""
        with anyio.fail_after(30):
            try:
                while True:
                    answer += await stream.receive()
            except anyio.EndOfStream:
                return answer


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8397"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "["},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
    ],
)
async def test_without_tokens_no_other_sites_page_may_ask(
    redis_url: str, headers: dict[str, str]
) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        httpx2.AsyncClient(base_url=gateway.base_url) as client,
    ):
        answer = await client.post(COUNT_PATH, json=ASK, headers=headers)
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
        assert await untouched(redis_url)


async def test_without_tokens_whoever_is_on_this_machine_may_ask(redis_url: str) -> None:
    async with (
        running_gateway(redis_url) as gateway,
        httpx2.AsyncClient(base_url=gateway.base_url) as client,
    ):
        same = {"origin": gateway.base_url}
        assert (await client.post(COUNT_PATH, json=ASK, headers=same)).status_code == 200
        local = {"host": f"localhost:{gateway.server.port}", "x-api-key": OPERATOR}
        assert (await client.post(COUNT_PATH, json=ASK, headers=local)).status_code == 200
