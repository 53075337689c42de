"""The ledger, the gate and the faults, in the process and over HTTP."""

import asyncio
import hashlib
import json
from typing import Any

import aiohttp
import anyio
import pytest

from weighbridge_worker.sandbox import Fault, Sandbox, SandboxSettings, sandbox
from weighbridge_worker.sandbox.ledger import Ledger

PATH = "/v1/messages/count_tokens"
BODY = json.dumps(
    {"model": "claude-opus-4-8", "messages": [{"role": "user", "content": "Hello"}]}
).encode()


def session(server: Sandbox) -> aiohttp.ClientSession:
    headers = {"authorization": "Bearer key"}
    timeout = aiohttp.ClientTimeout(total=10)
    return aiohttp.ClientSession(server.base_url, headers=headers, timeout=timeout)


async def post(client: aiohttp.ClientSession, body: bytes = BODY, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post(PATH, data=body, headers=named) as answer:
        await answer.read()
        return answer.status


async def get(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as answer:
        assert answer.status == 200
        return await answer.json()


async def put(client: aiohttp.ClientSession, path: str, state: object) -> tuple[int, Any]:
    async with client.put(path, json=state) as answer:
        return answer.status, await answer.json()


@pytest.mark.asyncio
async def test_the_ledger_holds_every_attempt_in_order_of_arrival() -> None:
    async with sandbox() as server, session(server) as client:
        await post(client, weighbridge_permit="p1", x_other="no")
        await post(client, b"{")
        first, second = (await get(client, "/_sandbox/ledger"))["attempts"]
    assert first == {
        "index": 0,
        "at": first["at"],
        "status": 200,
        "fault": None,
        "sha256": hashlib.sha256(BODY).hexdigest(),
        "model": "claude-opus-4-8",
        "bytes": len(BODY),
        "headers": {"weighbridge-permit": "p1"},
    }
    assert (second["index"], second["status"], second["model"], second["bytes"]) == (1, 400, "", 1)
    assert 0 <= first["at"] <= second["at"]


@pytest.mark.asyncio
async def test_the_ledger_can_be_read_from_an_index_on_and_cleared() -> None:
    async with sandbox() as server, session(server) as client:
        for _ in range(3):
            await post(client)
        later = (await get(client, "/_sandbox/ledger?since=2"))["attempts"]
        assert [attempt["index"] for attempt in later] == [2]
        async with client.delete("/_sandbox/ledger") as answer:
            assert answer.status == 200
        assert len(server.ledger) == 0
        await post(client)
        assert [attempt.index for attempt in server.ledger.attempts] == [3]


@pytest.mark.asyncio
async def test_a_since_that_is_no_index_is_refused_with_a_sentence() -> None:
    async with (
        sandbox() as server,
        session(server) as client,
        client.get("/_sandbox/ledger?since=-1") as answer,
    ):
        assert answer.status == 400
        assert "since takes" in (await answer.json())["error"]


def test_the_ledger_keeps_the_last_attempts_only() -> None:
    ledger = Ledger(2, lambda: 0.0)
    for _ in range(3):
        ledger.arrive({})
    ledger.answer(0, 200)
    assert [attempt.index for attempt in ledger.attempts] == [1, 2]


@pytest.mark.asyncio
async def test_calls_without_a_key_are_refused_and_in_the_ledger() -> None:
    async with sandbox() as server, aiohttp.ClientSession(server.base_url) as client:
        assert await post(client) == 401
        assert await post(client, authorization="Bearer") == 401
        assert await post(client, authorization="Basic key") == 401
        assert await post(client, x_api_key="key") == 200
        assert [attempt.status for attempt in server.ledger.attempts] == [401, 401, 401, 200]


@pytest.mark.asyncio
async def test_a_closed_gate_holds_calls_until_it_opens() -> None:
    async with sandbox() as server, session(server) as client:
        assert await put(client, "/_sandbox/gate", {"open": False}) == (
            200,
            {"open": False, "held": 0},
        )
        calls = [asyncio.ensure_future(post(client)) for _ in range(3)]
        with anyio.fail_after(10):
            await server.gate.holds(3)
        assert await get(client, "/_sandbox/gate") == {"open": False, "held": 3}
        assert [attempt.status for attempt in server.ledger.attempts] == [None] * 3
        await put(client, "/_sandbox/gate", {"open": True})
        assert await asyncio.gather(*calls) == [200, 200, 200]
        assert server.gate.held == 0


@pytest.mark.asyncio
async def test_a_held_call_whose_client_dies_is_never_answered() -> None:
    async with sandbox() as server:
        server.gate.close()
        async with session(server) as client:
            call = asyncio.ensure_future(post(client))
            with anyio.fail_after(10):
                await server.gate.holds(1)
            call.cancel()
        with anyio.fail_after(10):
            await server.gate.holds_none()
        server.gate.open()
        assert [attempt.status for attempt in server.ledger.attempts] == [None]


@pytest.mark.asyncio
async def test_faults_can_be_set_while_running() -> None:
    schedule = {"next": ["overloaded", None], "probabilities": {"dropped": 0.25}}
    async with sandbox() as server, session(server) as client:
        assert await put(client, "/_sandbox/faults", schedule) == (200, schedule)
        assert await post(client) == 529
        assert (await get(client, "/_sandbox/faults"))["next"] == [None]
        await put(client, "/_sandbox/faults", {})
        assert server.faults.describe() == {"next": [], "probabilities": {}}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "state", "words"),
    [
        ("/_sandbox/faults", {"next": ["explode"]}, "faults are rate_limited"),
        ("/_sandbox/faults", {"probabilities": {"html": 2}}, "more than 1"),
        ("/_sandbox/faults", {"prob": {}}, "prob"),
        ("/_sandbox/gate", {"open": "no"}, 'send {"open": true}'),
        ("/_sandbox/gate", {}, 'send {"open": true}'),
    ],
)
async def test_a_wrong_state_is_refused_with_a_sentence_and_changes_nothing(
    path: str, state: object, words: str
) -> None:
    async with sandbox() as server, session(server) as client:
        server.faults.set_next([Fault.HTML])
        status, answer = await put(client, path, state)
        assert status == 400
        assert words in answer["error"]
        assert server.faults.describe() == {"next": ["html"], "probabilities": {}}
        assert server.gate.is_open


@pytest.mark.asyncio
async def test_health_answers_without_a_key() -> None:
    async with sandbox() as server, aiohttp.ClientSession(server.base_url) as client:
        assert await get(client, "/_sandbox/health") == {"status": "ok"}
        assert len(server.ledger) == 0


@pytest.mark.asyncio
async def test_a_body_over_the_bound_is_too_large_with_and_without_a_length() -> None:
    async def chunks() -> Any:
        for _ in range(4):
            yield b"x" * 1000

    async with sandbox(SandboxSettings(max_body_bytes=2000)) as server, session(server) as client:
        for body in (b"x" * 4000, chunks()):
            async with client.post(PATH, data=body) as answer:
                assert answer.status == 413
                error = (await answer.json())["error"]
                assert error["type"] == "request_too_large"
        assert await post(client) == 200
        assert [attempt.status for attempt in server.ledger.attempts] == [413, 413, 200]
