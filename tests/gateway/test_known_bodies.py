"""A body that was seen before keeps its digest, and shares it with nobody it should not."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from support.gateway_under_test import (
    ALICE,
    BOB,
    COUNT_PATH,
    running_gateway,
    tokens_file,
)

from weighbridge.keys import Keys
from weighbridge.preparation import LARGE_BYTES
from weighbridge_worker.gateway.known_bodies import KnownBodies

ASK = b'{"model":"claude-sonnet-5-5","messages":[{"role":"user","content":"Hello"}]}'


def test_a_digest_is_found_by_all_that_it_was_made_of() -> None:
    known = KnownBodies()
    known.note(known.name(ASK, ("b",), "p"), "digest")
    assert known.digest(known.name(ASK, ("b",), "p")) == "digest"
    others: list[tuple[bytes, tuple[str, ...], str | None]] = [
        (ASK + b" ", ("b",), "p"),
        (ASK, (), "p"),
        (ASK, ("b", "c"), "p"),
        (ASK, ("b",), "q"),
        (ASK, ("b",), None),
    ]
    for body, betas, partition in others:
        assert known.digest(known.name(body, betas, partition)) is None


def test_the_oldest_is_forgotten_first() -> None:
    known = KnownBodies(most=2)
    names = [known.name(b"%d" % number, (), "") for number in range(3)]
    for number, name in enumerate(names):
        known.note(name, f"digest {number}")
    assert [known.digest(name) for name in names] == [None, "digest 1", "digest 2"]


def test_large_bodies_have_no_names() -> None:
    known = KnownBodies()
    name = known.name(b"x" * LARGE_BYTES, (), "")
    assert name is None
    known.note(name, "digest")
    assert known.digest(name) is None


@pytest.mark.asyncio
async def test_a_count_that_is_gone_is_counted_again(redis_url: str, tmp_path: Path) -> None:
    async with (
        running_gateway(redis_url, tokens_file=tokens_file(tmp_path)) as gateway,
        httpx2.AsyncClient(base_url=gateway.base_url) as client,
        Redis.from_url(redis_url) as redis,
    ):

        async def ask(token: str) -> tuple[Any, str]:
            answer = await client.post(COUNT_PATH, content=ASK, headers={"x-api-key": token})
            headers = answer.headers
            return headers["x-weighbridge-cache"], headers["x-weighbridge-digest"]

        seen = [await ask(ALICE), await ask(ALICE), await ask(BOB)]
        assert [cache for cache, _ in seen] == ["miss", "hit", "miss"]
        assert seen[0][1] == seen[1][1] != seen[2][1]
        await redis.delete(Keys().result(seen[0][1]))
        await redis.delete(Keys().job(seen[0][1]))
        assert await ask(ALICE) == ("miss", seen[0][1])
