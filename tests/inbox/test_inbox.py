"""Producers of any language: plain Redis commands in, a reply under an id out."""

import json
import shutil
import subprocess
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis
from support.foreign_producer import HELLO, INBOX, ask, gone, reply
from support.pools import Answers, running_pool

from weighbridge import Client
from weighbridge.keys import Keys

pytestmark = pytest.mark.asyncio
KEYS = Keys()


async def test_two_plain_commands_count_a_payload(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, Answers()):
        entry = await ask(redis, {"payload": json.dumps(HELLO)})
        answered = await reply(redis, entry)
        await gone(redis)
    assert answered["id"] == answered["entry"] == entry
    assert answered["status"] == "counted"
    assert answered["input_tokens"] == len(json.dumps(HELLO, separators=(",", ":")))
    assert len(answered["digest"]) == 64


async def test_what_was_written_before_the_first_worker_came_is_read(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        entry = await ask(redis, {"payload": json.dumps(HELLO)})
        async with running_pool(redis_url, Answers()):
            assert (await reply(redis, entry))["status"] == "counted"


async def test_an_own_id_names_the_reply(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, Answers()):
        entry = await ask(redis, {"payload": json.dumps(HELLO), "id": "order-17"})
        answered = await reply(redis, "order-17")
    assert (answered["id"], answered["entry"]) == ("order-17", entry)


async def test_a_bell_can_be_waited_for_with_blpop(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, Answers()):
        request = {"payload": json.dumps(HELLO), "id": "order-18", "bell": "1"}
        await ask(redis, request)
        rung = await redis.blpop(["{weighbridge}:1:bell:order-18"], timeout=10)
        assert rung is not None
        assert json.loads(rung[1])["status"] == "counted"
        assert (await reply(redis, "order-18"))["input_tokens"] > 0


async def test_a_cached_count_is_answered_without_a_permit(redis_url: str) -> None:
    answers = Answers()
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, answers):
        async with Client.connect(redis_url) as wb:
            counted = await wb.count(HELLO)
        granted = await redis.hget(KEYS.bucket, "granted")
        request = {"payload": json.dumps(HELLO), "id": "again", "bell": "1"}
        await ask(redis, request)
        answered = await reply(redis, "again")
        assert await redis.llen("{weighbridge}:1:bell:again") == 1
        assert await redis.hget(KEYS.bucket, "granted") == granted
    assert answered["input_tokens"] == counted.input_tokens
    assert len(answers.bodies) == 1


async def test_ten_requests_for_one_payload_make_one_call_and_ten_replies(redis_url: str) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, answers):
        for number in range(10):
            await ask(redis, {"payload": json.dumps(HELLO), "id": f"r{number}"})
        await gone(redis)
        answers.gate.set()
        replies = [await reply(redis, f"r{number}") for number in range(10)]
    assert {answered["input_tokens"] for answered in replies} == {replies[0]["input_tokens"]}
    assert [answered["id"] for answered in replies] == [f"r{number}" for number in range(10)]
    assert len(answers.bodies) == 1


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"payload": "{"}, "malformed_payload", ""),
        ({"payload": b"\xff\xfe"}, "malformed_payload", ""),
        ({"text": "hello"}, "bad_request", "'payload'"),
        ({"payload": json.dumps(HELLO), "lane": "fast"}, "bad_request", "interactive or batch"),
        ({"payload": json.dumps(HELLO), "deadline_ms": "soon"}, "bad_request", "whole number"),
        ({"payload": json.dumps(HELLO), "deadline_ms": "0"}, "bad_request", "whole number"),
        ({"payload": json.dumps(HELLO), "id": "not an id"}, "bad_request", "'id'"),
        ({"payload": json.dumps(HELLO), "producer": "a b"}, "bad_request", "'producer'"),
        ({"payload": json.dumps(HELLO), "partition": "a/b"}, "bad_request", "'partition'"),
        ({"payload": json.dumps(HELLO), "betas": "a b"}, "malformed_payload", ""),
    ],
)
async def test_a_request_that_makes_no_sense_gets_a_reply_that_says_why(
    redis_url: str, fields: dict[Any, Any], code: str, words: str
) -> None:
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, Answers()):
        entry = await ask(redis, fields)
        answered = await reply(redis, entry)
        await gone(redis)
    assert (answered["status"], answered["code"]) == ("failed", code)
    assert words in answered["message"]


async def test_partitions_do_not_share_counts(redis_url: str) -> None:
    answers = Answers()
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, answers):
        for partition in ("red", "blue"):
            request = {"payload": json.dumps(HELLO), "id": partition, "partition": partition}
            await ask(redis, request)
        red, blue = await reply(redis, "red"), await reply(redis, "blue")
    assert red["digest"] != blue["digest"]
    assert len(answers.bodies) == 2


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
async def test_redis_cli_alone_is_a_producer(redis_url: str) -> None:
    def cli(*words: str) -> str:
        command = ["redis-cli", "-s", redis_url.removeprefix("unix://"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, Answers()):
        entry = await anyio.to_thread.run_sync(
            cli, "XADD", INBOX, "*", "payload", json.dumps(HELLO)
        )
        await reply(redis, entry)
        answered = json.loads(
            await anyio.to_thread.run_sync(cli, "GET", f"{{weighbridge}}:1:reply:{entry}")
        )
    assert answered["status"] == "counted"
