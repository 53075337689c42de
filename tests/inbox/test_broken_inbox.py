"""An inbox that somebody deleted, or put something else in the place of: the intake goes on."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis
from structlog.testing import CapturingLogger
from support.foreign_producer import INBOX, ask, gone, reply
from support.pools import Answers, running_pool, until

from weighbridge.connection import connect, connect_unrepeated
from weighbridge.keys import Keys
from weighbridge.scripts import INBOX_GROUP, Scripts
from weighbridge.settings import QueueSettings
from weighbridge_worker.intake import PAUSE_S, Intake
from weighbridge_worker.tally import Tally

pytestmark = pytest.mark.asyncio
KEYS = Keys()
REQUEST = {"payload": b'{"model":"claude-test","messages":[{"role":"user","content":"hi"}]}'}


async def test_a_group_that_was_destroyed_is_created_anew(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, Answers()):
        await reply(redis, await ask(redis, REQUEST))
        await redis.xgroup_destroy(INBOX, INBOX_GROUP)
        answered = await reply(redis, await ask(redis, REQUEST))
        await gone(redis)
    assert answered["status"] == "counted"


async def test_an_inbox_that_was_deleted_is_created_anew(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, Answers()):
        await reply(redis, await ask(redis, REQUEST))
        await redis.delete(INBOX)
        answered = await reply(redis, await ask(redis, REQUEST))
        await gone(redis)
    assert answered["status"] == "counted"


async def test_a_consumer_that_was_removed_while_it_waits_reads_on(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, running_pool(redis_url, Answers()):
        await reply(redis, await ask(redis, REQUEST))
        for row in await redis.xinfo_consumers(INBOX, INBOX_GROUP):
            await redis.xgroup_delconsumer(INBOX, INBOX_GROUP, row["name"].decode())
        answered = await reply(redis, await ask(redis, REQUEST))
        await gone(redis)
    assert answered["status"] == "counted"


async def test_an_inbox_that_cannot_be_read_is_told_of_now_and_then(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, running_intake(redis_url) as log:
        await redis.set(INBOX, "something else", px=60_000)
        began = time.monotonic()
        await until(lambda: len(log.calls) >= 2)
        lines, elapsed_s = len(log.calls), time.monotonic() - began
        await redis.delete(INBOX)
        entry = await ask(redis, {"payload": b"{"})
        assert (await reply(redis, entry))["code"] == "malformed_payload"
    assert lines <= elapsed_s / PAUSE_S + 1
    assert log.calls[0].args == ("inbox_unreadable",)
    assert log.calls[0].kwargs["error"] == "WRONGTYPE"


async def test_a_request_that_crashes_its_handling_is_answered_and_ends_no_intake(
    redis_url: str,
) -> None:
    no_key: Any = "not bytes, on which hashing crashes"
    settings = QueueSettings(redis_url=redis_url, digest_key=no_key)
    async with Redis.from_url(redis_url) as redis, running_intake(redis_url, settings) as log:
        crashing = await ask(redis, REQUEST)
        assert (await reply(redis, crashing))["code"] == "internal_error"
        uncountable = await ask(redis, {"payload": b"{"})
        assert (await reply(redis, uncountable))["code"] == "malformed_payload"
        await gone(redis)
    assert "claude-test" not in repr(log.calls)
    assert log.calls[0].kwargs["error"] == "TypeError"


async def test_a_full_server_keeps_what_is_in_hand_until_there_is_room(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        entry = await ask(redis, REQUEST)
        await redis.xgroup_create(INBOX, INBOX_GROUP, id="0")
        used = (await redis.info("memory"))["used_memory"]
        try:
            await redis.config_set("maxmemory", used // 2)
            async with running_intake(redis_url) as log:
                await until(lambda: ("server_full",) in [call.args for call in log.calls])
                assert await redis.xlen(INBOX) == 1
                await redis.config_set("maxmemory", 0)
                await until(lambda: redis.exists(KEYS.deadlines))
        finally:
            await redis.config_set("maxmemory", 0)
        async with running_pool(redis_url, Answers()):
            assert (await reply(redis, entry))["status"] == "counted"


@asynccontextmanager
async def running_intake(
    url: str, settings: QueueSettings | None = None
) -> AsyncIterator[CapturingLogger]:
    """Run an intake alone, and give its log."""
    log: Any = CapturingLogger()
    draining = anyio.Event()
    async with connect(url) as redis, connect_unrepeated(url) as reading:
        intake = Intake(
            redis,
            reading,
            KEYS,
            Scripts(KEYS),
            settings or QueueSettings(redis_url=url),
            draining,
            Tally(),
            log,
            worker="worker",
            reply_ttl_ms=60_000,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(intake.run)
            yield log
            draining.set()
            intake.wake()
