"""Dead letters through the gateway: listed, and replayed by code."""

from typing import Any

import aiohttp
import anyio
import pytest
from support.gateway_under_test import running_gateway
from support.pools import Answers, running_pool

from weighbridge import Client, Counted, Failed
from weighbridge.connection import connect
from weighbridge.dead import DeadLetters, Replayed
from weighbridge.keys import Keys
from weighbridge.letters import DeadLetter
from weighbridge_worker.calls import PermanentFailure
from weighbridge_worker.gateway import dead_letters

pytestmark = pytest.mark.asyncio
KEYS = Keys()
LIST = "/v1/dead-letters"
REPLAY = "/v1/dead-letters/replay"


def payload(text: str) -> dict[str, Any]:
    """Make a payload that the stand-in counts."""
    return {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": text}]}


async def bury(url: str, *texts: str, code: str) -> list[str]:
    """Let payloads fail for good, one after the other; returns their digests."""
    refusing = Answers(error=lambda _: PermanentFailure(code, "no"))
    digests = []
    async with running_pool(url, refusing), Client.connect(url) as wb:
        for text in texts:
            ticket = await wb.submit(payload(text))
            assert isinstance(await wb.result(ticket), Failed)
            digests.append(ticket.digest)
    return digests


def asking(base_url: str) -> aiohttp.ClientSession:
    """Open a client."""
    return aiohttp.ClientSession(base_url, timeout=aiohttp.ClientTimeout(total=60))


async def replayed(session: aiohttp.ClientSession, code: str) -> dict[str, Any]:
    """Replay the letters of a code."""
    async with session.post(REPLAY, json={"code": code}) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


async def listed(session: aiohttp.ClientSession, **query: str) -> dict[str, Any]:
    """List letters."""
    async with session.get(LIST, params=query) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


async def test_a_replay_counts_what_failed_with_the_code_and_nothing_else(redis_url: str) -> None:
    digests = await bury(redis_url, "one", "two", code="timeout")
    [other] = await bury(redis_url, "three", code="poison")
    async with (
        running_gateway(redis_url) as gateway,
        asking(gateway.base_url) as session,
        Client.connect(redis_url) as wb,
    ):
        before = await listed(session)
        answer = await replayed(session, "timeout")
        results = [await wb.result(digest) for digest in digests]
        after = await listed(session)
    assert [letter["digest"] for letter in before["letters"]] == [other, *reversed(digests)]
    assert answer == {
        "found": 2,
        "replayed": 2,
        "counted": 0,
        "payload_gone": 0,
        "not_tried": 0,
        "stopped": None,
        "said": "Replayed 2 of 2.",
    }
    assert all(isinstance(result, Counted) for result in results)
    assert [letter["code"] for letter in after["letters"]] == ["poison"]


async def test_a_list_is_narrowed_and_says_that_there_is_more(redis_url: str) -> None:
    await bury(redis_url, "one", "two", code="timeout")
    await bury(redis_url, "three", code="poison")
    async with running_gateway(redis_url) as gateway, asking(gateway.base_url) as session:
        two = await listed(session, limit="2")
        timeouts = await listed(session, code="timeout")
        none = await listed(session, code="lost")
    assert ([letter["code"] for letter in two["letters"]], two["more"]) == (
        ["poison", "timeout"],
        True,
    )
    assert (len(timeouts["letters"]), timeouts["more"]) == (2, False)
    assert none == {"letters": [], "more": False}


async def test_a_letter_whose_payload_is_gone_stays_listed(redis_url: str) -> None:
    [digest] = await bury(redis_url, "one", code="timeout")
    async with connect(redis_url) as redis:
        await redis.delete(KEYS.payload(digest))
    async with running_gateway(redis_url) as gateway, asking(gateway.base_url) as session:
        answer = await replayed(session, "timeout")
        after = await listed(session)
    assert (answer["found"], answer["payload_gone"]) == (1, 1)
    assert "without a payload any more" in answer["said"]
    assert [letter["kept"] for letter in after["letters"]] == [False]


async def test_a_code_that_nothing_failed_with_replays_nothing(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, asking(gateway.base_url) as session:
        answer = await replayed(session, "timeout")
    assert (answer["found"], answer["replayed"]) == (0, 0)
    assert answer["said"] == "No dead letter failed with this code any more."


async def test_when_time_is_up_the_rest_waits_for_another_request(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bury(redis_url, "one", "two", code="timeout")
    monkeypatch.setattr(dead_letters, "REPLAY_S", -1.0)
    async with running_gateway(redis_url) as gateway, asking(gateway.base_url) as session:
        answer = await replayed(session, "timeout")
        after = await listed(session)
    assert (answer["replayed"], answer["not_tried"]) == (0, 2)
    assert answer["said"] == "Replayed 0 of 2; 2 not tried."
    assert len(after["letters"]) == 2


async def test_one_replay_at_a_time(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await bury(redis_url, "one", code="timeout")
    begun, go_on = anyio.Event(), anyio.Event()
    original = DeadLetters.replay

    async def held(letters: DeadLetters, letter: DeadLetter) -> Replayed:
        begun.set()
        await go_on.wait()
        return await original(letters, letter)

    monkeypatch.setattr(DeadLetters, "replay", held)
    answers: list[dict[str, Any]] = []
    async with running_gateway(redis_url) as gateway, asking(gateway.base_url) as session:

        async def first() -> None:
            answers.append(await replayed(session, "timeout"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await begun.wait()
            async with session.post(REPLAY, json={"code": "timeout"}) as second:
                assert (second.status, second.headers["retry-after"]) == (409, "5")
            go_on.set()
    assert [answer["replayed"] for answer in answers] == [1]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b'{"code": "timeout"}', {"content-type": "text/plain"}, 415, "not_json"),
        (b"code=timeout", {"content-type": "application/x-www-form-urlencoded"}, 415, "not_json"),
        (b"{}", {}, 400, "wrong_request"),
        (b'{"code": 7}', {}, 400, "wrong_request"),
        (b'{"code": "timeout", "all": true}', {}, 400, "wrong_request"),
        (b"{" + b" " * 5000, {}, 413, "payload_too_large"),
        (b'{"code": "timeout"}', {"origin": "https://evil.example"}, 403, "foreign_origin"),
        (b'{"code": "timeout"}', {"host": "evil.example"}, 403, "foreign_origin"),
    ],
)
async def test_a_replay_that_nobody_meant_is_refused(
    redis_url: str, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    await bury(redis_url, "one", code="timeout")
    headers = {"content-type": "application/json"} | headers
    async with running_gateway(redis_url) as gateway, asking(gateway.base_url) as session:
        async with session.post(REPLAY, data=body, headers=headers) as response:
            assert response.status == status
            assert (await response.json())["error"]["details"]["error_code"] == code
        assert len((await listed(session))["letters"]) == 1


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "٣"])
async def test_a_limit_that_is_none_is_refused(redis_url: str, limit: str) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        asking(gateway.base_url) as session,
        session.get(LIST, params={"limit": limit}) as response,
    ):
        assert response.status == 400
