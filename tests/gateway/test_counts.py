"""``POST /v1/counts``: lines in, result lines out, over a real socket."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from support.gateway_under_test import ALICE, BOB, running_gateway, tokens_file
from support.line_client import MODEL, count_lines, counting, jsonl, next_row, payload
from support.pools import live_jobs, until

from weighbridge.payload import MAX_BODY_BYTES

pytestmark = pytest.mark.asyncio


async def test_a_result_comes_while_the_body_is_still_being_sent(redis_url: str) -> None:
    first_came = anyio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield jsonl({"id": "a", "payload": payload("one")})
        await first_came.wait()
        yield jsonl({"id": "b", "payload": payload("two")})

    async with (
        running_gateway(redis_url) as gateway,
        counting(gateway.base_url, body()) as answer,
    ):
        first = await next_row(answer)
        first_came.set()
        second = await next_row(answer)
        assert await answer.content.read() == b""
    assert first | {"digest": "", "input_tokens": 0} == {
        "line": 1,
        "id": "a",
        "digest": "",
        "status": "counted",
        "model": MODEL,
        "input_tokens": 0,
        "source": "estimate",
        "cache": "miss",
    }
    assert first["input_tokens"] > 0
    assert (second["line"], second["id"]) == (2, "b")


async def test_ten_thousand_lines_in_one_request_take_one_call_a_payload(redis_url: str) -> None:
    lines = [{"id": number, "payload": payload(str(number % 100))} for number in range(10_000)]
    async with running_gateway(redis_url) as gateway:
        rows = await count_lines(gateway.base_url, jsonl(*lines))
        assert gateway.gateway.bodies.held == 0
        assert sum(gateway.gateway.tally.cache.values()) == 10_000
        calls = len(gateway.stand_in.ledger)
    assert sorted(row["line"] for row in rows) == list(range(1, 10_001))
    assert all(row["id"] == row["line"] - 1 for row in rows)
    assert {row["status"] for row in rows} == {"counted"}
    assert len({row["digest"] for row in rows}) == 100
    assert calls == 100


async def test_ordered_results_come_in_the_order_of_their_lines(redis_url: str) -> None:
    lines = [payload(str(number % 7)) if number % 5 else b"{nonsense" for number in range(300)]
    async with running_gateway(redis_url) as gateway:
        rows = await count_lines(gateway.base_url, jsonl(*lines), ordered="true")
    assert [row["line"] for row in rows] == list(range(1, 301))


async def test_a_wrong_line_is_a_result_line_of_its_own(redis_url: str) -> None:
    body = jsonl(
        {"id": "good", "payload": payload("hello")},
        b"{not json",
        b"  \r",
        {"id": "empty", "payload": payload("hello", messages=[])},
        b"[]",
        {"id": 7, "payload": payload("hello", system=7)},
    ) + json.dumps(payload("no new line behind it")).encode("utf-8")
    async with running_gateway(redis_url) as gateway:
        rows = await count_lines(gateway.base_url, body, ordered="true")
    assert [(row["line"], row["id"], row["status"]) for row in rows] == [
        (1, "good", "counted"),
        (2, None, "failed"),
        (4, "empty", "failed"),
        (5, None, "failed"),
        (6, 7, "failed"),
        (7, None, "counted"),
    ]
    codes = {row["line"]: row["code"] for row in rows if row["status"] == "failed"}
    assert codes == {
        2: "malformed_payload",
        4: "malformed_payload",
        5: "malformed_payload",
        6: "invalid_request",
    }
    assert all(row["message"] for row in rows if row["status"] == "failed")


async def test_a_line_over_the_bound_is_refused_and_those_around_it_are_counted(
    redis_url: str,
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield jsonl(payload("before"))
        for _ in range(MAX_BODY_BYTES // 2**20 + 1):
            yield b"x" * 2**20
        yield b"\n"
        yield jsonl(payload("behind"))

    async with (
        running_gateway(redis_url) as gateway,
        counting(gateway.base_url, body(), ordered="true") as answer,
    ):
        rows = [await next_row(answer) for _ in range(3)]
        assert await answer.content.read() == b""
        assert gateway.gateway.bodies.held == 0
    assert [(row["line"], row["status"]) for row in rows] == [
        (1, "counted"),
        (2, "failed"),
        (3, "counted"),
    ]
    assert rows[1]["code"] == "payload_too_large"


async def test_an_empty_body_has_an_empty_answer(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway:
        assert await count_lines(gateway.base_url, b"") == []
        assert await count_lines(gateway.base_url, b"\n\n") == []


async def test_betas_are_of_all_lines_and_part_of_their_digests(redis_url: str) -> None:
    body = jsonl(payload("hello"))
    beta = {"anthropic-beta": "context-1m-2025-08-07"}
    async with running_gateway(redis_url) as gateway:
        [plain] = await count_lines(gateway.base_url, body)
        [with_beta] = await count_lines(gateway.base_url, body, headers=beta)
        [again] = await count_lines(gateway.base_url, body)
    assert plain["digest"] != with_beta["digest"]
    assert (with_beta["cache"], again["cache"]) == ("miss", "hit")


@pytest.mark.parametrize(
    ("token", "headers", "query", "status"),
    [
        ("", {}, {}, 401),
        ("wrong-wrong-wrong-wrong", {}, {}, 401),
        (BOB, {"x-weighbridge-lane": "interactive"}, {}, 403),
        (BOB, {}, {"lane": "interactive"}, 403),
        (ALICE, {}, {"lane": "fast"}, 400),
        (ALICE, {}, {"ordered": "yes"}, 400),
        (ALICE, {"content-encoding": "gzip"}, {}, 415),
    ],
)
async def test_what_a_head_may_not_ask_for_is_refused_before_a_line_is_read(
    redis_url: str,
    tmp_path: Path,
    token: str,
    headers: dict[str, str],
    query: dict[str, str],
    status: int,
) -> None:
    async with (
        running_gateway(redis_url, tokens_file=tokens_file(tmp_path)) as gateway,
        counting(
            gateway.base_url, jsonl(payload("hello")), token=token, headers=headers, **query
        ) as answer,
    ):
        document = await answer.json()
        assert not len(gateway.stand_in.ledger)
    assert answer.status == status
    assert document["type"] == "error"
    assert document["error"]["type"]


@pytest.mark.parametrize(
    ("lane", "jobs"), [("interactive", [1, 0]), ("batch", [0, 1]), (None, [0, 1])]
)
async def test_the_lane_is_batch_unless_asked_for(
    redis_url: str, lane: str | None, jobs: list[int]
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield jsonl(payload("hello"))
        await until(lambda: live_jobs(redis_url))
        state = await gateway.gateway.admin.inspect(count_cached=False)
        seen.extend([state.interactive, state.batch])

    seen: list[int] = []
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        counting(gateway.base_url, body(), headers={"x-weighbridge-lane": lane} if lane else {}),
    ):
        await until(lambda: seen)
    assert seen == jobs


async def test_partitions_keep_tenants_counts_apart(redis_url: str, tmp_path: Path) -> None:
    body = jsonl(payload("hello"))
    async with running_gateway(redis_url, tokens_file=tokens_file(tmp_path)) as gateway:
        [alice] = await count_lines(gateway.base_url, body, token=ALICE)
        [bob] = await count_lines(gateway.base_url, body, token=BOB)
    assert alice["digest"] != bob["digest"]
    assert (alice["cache"], bob["cache"]) == ("miss", "miss")


async def test_a_tenants_rate_holds_for_lines_too(redis_url: str, tmp_path: Path) -> None:
    tokens = tokens_file(tmp_path, f'[tenants.slow]\ntokens = ["{ALICE}"]\nrate = 60\n')
    async with running_gateway(redis_url, tokens_file=tokens) as gateway:
        began = anyio.current_time()
        rows = await count_lines(
            gateway.base_url, jsonl(*(payload(str(number)) for number in range(3))), token=ALICE
        )
    assert len(rows) == 3
    assert anyio.current_time() - began >= 1.9
