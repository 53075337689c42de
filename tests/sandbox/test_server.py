"""The server's life."""

import asyncio
import re
from typing import Any

import aiohttp
import anyio
import pytest

from weighbridge.errors import SettingsError
from weighbridge_worker.sandbox import Fault, SandboxSettings, sandbox, serve

PATH = "/v1/messages/count_tokens"
BODY = {"model": "claude-opus-4-8", "messages": [{"role": "user", "content": "Hello"}]}
KEY = {"x-api-key": "key"}


async def post(client: aiohttp.ClientSession, base_url: str = "") -> Any:
    async with client.post(base_url + PATH, json=BODY, headers=KEY) as answer:
        return await answer.json()


@pytest.mark.asyncio
async def test_it_stops_promptly_with_held_hanging_and_dripping_calls() -> None:
    settings = SandboxSettings(drip_s=600)
    async with aiohttp.ClientSession() as client:
        with anyio.fail_after(60):  # far below what the calls wait for
            async with sandbox(settings) as server:
                server.faults.set_next([Fault.SLOW_BODY, Fault.HANGING])
                server.gate.close()
                calls = [asyncio.ensure_future(post(client, server.base_url)) for _ in range(3)]
                await server.gate.holds(3)
                server.gate.open()
                server.gate.close()
                calls.append(asyncio.ensure_future(post(client, server.base_url)))
                await server.gate.holds(1)
            answers = await asyncio.gather(*calls, return_exceptions=True)
    healthy = [answer for answer in answers if not isinstance(answer, aiohttp.ClientError)]
    assert healthy == [{"input_tokens": 8}]


@pytest.mark.asyncio
async def test_two_servers_run_side_by_side_with_ledgers_of_their_own() -> None:
    async with sandbox() as one, sandbox() as other:
        async with aiohttp.ClientSession(one.base_url) as client:
            await post(client)
        assert (len(one.ledger), len(other.ledger)) == (1, 0)


@pytest.mark.asyncio
async def test_a_taken_port_is_refused_with_a_sentence() -> None:
    async with sandbox() as server:
        port = int(server.base_url.rpartition(":")[2])
        with pytest.raises(SettingsError, match="choose another port"):
            await sandbox(port=port).__aenter__()


@pytest.mark.asyncio
async def test_served_it_says_where_and_runs_until_cancelled() -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    settings = SandboxSettings()
    server = asyncio.ensure_future(serve(settings, "127.0.0.1", 0, heard.put_nowait))
    with anyio.fail_after(10):
        base_url = await heard.get()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", base_url)
    async with aiohttp.ClientSession(base_url) as client:
        assert await post(client) == {"input_tokens": 8}
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server


@pytest.mark.asyncio
async def test_it_takes_an_ipv6_address_where_there_is_one() -> None:
    try:
        async with sandbox(host="::1") as server:
            assert server.base_url.startswith("http://[::1]:")
    except SettingsError as error:
        pytest.skip(str(error))


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["latency_s", "jitter_s"])
async def test_latency_holds_back_every_answer(name: str) -> None:
    waits: dict[str, Any] = {name: 1e6}
    patience = aiohttp.ClientTimeout(total=0.2)
    async with (
        sandbox(SandboxSettings(**waits)) as server,
        aiohttp.ClientSession(server.base_url, timeout=patience) as client,
    ):
        with pytest.raises(TimeoutError):
            await post(client)
        assert [attempt.status for attempt in server.ledger.attempts] == [None]
