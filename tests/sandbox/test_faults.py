"""The schedule, and what the faults are on the wire."""

from collections import Counter
from typing import Any

import aiohttp
import pytest

from weighbridge_worker.sandbox import Fault, SandboxSettings, sandbox
from weighbridge_worker.sandbox.faults import Faults

BODY = {"model": "claude-opus-4-8", "messages": [{"role": "user", "content": "Hello"}]}
PATH = "/v1/messages/count_tokens"


def session(base_url: str, **arguments: Any) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=10)
    headers = {"x-api-key": "key"}
    return aiohttp.ClientSession(base_url, headers=headers, timeout=timeout, **arguments)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (Fault.TRUNCATED, b'{"input_tok'),
        (Fault.NULL_COUNT, b'{"input_tokens":null}'),
        (Fault.NEGATIVE_COUNT, b'{"input_tokens":-1}'),
        (Fault.STRING_COUNT, b'{"input_tokens":"12"}'),
        (Fault.EXPONENT_COUNT, b'{"input_tokens":1e3}'),
        (Fault.BOOLEAN_COUNT, b'{"input_tokens":true}'),
        (Fault.NO_COUNT, b"{}"),
        (Fault.LIST_ANSWER, b"[12]"),
    ],
)
async def test_a_wrong_200_looks_right_but_for_its_body(fault: Fault, body: bytes) -> None:
    async with sandbox() as server, session(server.base_url) as client:
        server.faults.set_next([fault])
        async with client.post(PATH, json=BODY) as answer:
            assert (answer.status, answer.content_type) == (200, "application/json")
            assert await answer.read() == body
        assert [(a.status, a.fault) for a in server.ledger.attempts] == [(200, fault)]


@pytest.mark.asyncio
async def test_an_html_200_is_html() -> None:
    async with sandbox() as server, session(server.base_url) as client:
        server.faults.set_next([Fault.HTML])
        async with client.post(PATH, json=BODY) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
            assert (await answer.text()).startswith("<html>")


@pytest.mark.asyncio
async def test_a_cut_body_ends_before_its_promised_length() -> None:
    async with sandbox() as server, session(server.base_url) as client:
        server.faults.set_next([Fault.CUT_BODY])
        async with client.post(PATH, json=BODY) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()


@pytest.mark.asyncio
async def test_a_slow_body_comes_whole_in_the_end() -> None:
    settings = SandboxSettings(drip_s=0.001)
    async with sandbox(settings) as server, session(server.base_url) as client:
        server.faults.set_next([Fault.SLOW_BODY])
        async with client.post(PATH, json=BODY) as answer:
            assert await answer.json() == {"input_tokens": 8}


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", [Fault.HANGING, Fault.SLOW_BODY])
async def test_a_client_that_gives_up_leaves_a_working_server(fault: Fault) -> None:
    async with sandbox(SandboxSettings(drip_s=30)) as server, session(server.base_url) as client:
        server.faults.set_next([fault])
        patience = aiohttp.ClientTimeout(total=0.2)
        with pytest.raises(TimeoutError):
            async with client.post(PATH, json=BODY, timeout=patience) as answer:
                await answer.read()
        async with client.post(PATH, json=BODY) as answer:
            assert answer.status == 200


@pytest.mark.asyncio
async def test_a_refused_call_uses_up_no_fault() -> None:
    async with sandbox(SandboxSettings(depth=1, rpm=1)) as server:
        server.faults.set_next([None, Fault.OVERLOADED])
        async with session(server.base_url) as client:
            statuses = [(await client.post(PATH, json=BODY)).status for _ in range(2)]
        assert statuses == [200, 429]
        assert server.faults.describe()["next"] == [Fault.OVERLOADED]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.SERVER_ERROR, 500), (Fault.HTML, 200), (Fault.NULL_COUNT, 200)]
)
async def test_a_fault_hides_what_was_wrong_with_the_body(fault: Fault, status: int) -> None:
    async with sandbox() as server, session(server.base_url) as client:
        server.faults.set_next([fault])
        async with client.post(PATH, data=b"{") as answer:
            assert answer.status == status
        assert [(a.status, a.fault) for a in server.ledger.attempts] == [(status, fault)]


@pytest.mark.asyncio
async def test_a_call_without_an_answer_has_no_status_in_the_ledger() -> None:
    async with sandbox() as server, session(server.base_url) as client:
        server.faults.set_next([Fault.DROPPED])
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.post(PATH, data=b"{")
        assert [(a.status, a.fault) for a in server.ledger.attempts] == [(None, Fault.DROPPED)]


def test_the_list_comes_first_and_in_order() -> None:
    faults = Faults(seed=1)
    faults.set_probabilities({Fault.HTML: 1.0})
    faults.set_next([Fault.DROPPED, None, Fault.OVERLOADED])
    assert [faults.draw() for _ in range(5)] == [
        Fault.DROPPED, None, Fault.OVERLOADED, Fault.HTML, Fault.HTML,
    ]  # fmt: skip


def test_the_same_seed_draws_the_same_faults() -> None:
    def drawn(seed: int) -> list[Fault | None]:
        faults = Faults(seed)
        faults.set_probabilities({Fault.OVERLOADED: 0.3, Fault.DROPPED: 0.2})
        return [faults.draw() for _ in range(2000)]

    assert drawn(7) == drawn(7) != drawn(8)
    shares = Counter(drawn(7))
    assert 500 < shares[Fault.OVERLOADED] < 700
    assert 300 < shares[Fault.DROPPED] < 500


def test_cleared_faults_are_gone() -> None:
    faults = Faults(seed=1)
    faults.set_probabilities({Fault.HTML: 1.0})
    faults.set_next([Fault.DROPPED])
    faults.clear()
    assert faults.draw() is None


@pytest.mark.parametrize("shares", [{Fault.HTML: -0.1}, {Fault.HTML: 0.6, Fault.DROPPED: 0.5}])
def test_shares_that_make_no_sense_are_refused(shares: dict[Fault, float]) -> None:
    with pytest.raises(ValueError, match="probabilit"):
        Faults(seed=1).set_probabilities(shares)
