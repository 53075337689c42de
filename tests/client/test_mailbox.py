"""What a mailbox makes of what it finds under a result's key."""

import pytest
from support.results import counted

from weighbridge.connection import connect
from weighbridge.keys import Keys
from weighbridge.mailbox import Expectation, Mailbox
from weighbridge.records import Result, encode_result

pytestmark = pytest.mark.asyncio
KEYS = Keys()
DIGEST = "d" * 64


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense",
        b'{"status":"failed","code":"\xff","message":"m"}',
        b'{"status":"failed","code":"c","message":"m","new":'
        + b"[" * 50_000
        + b"]" * 50_000
        + b"}",
    ],
    ids=["no JSON", "no UTF-8", "too deep"],
)
async def test_a_text_that_is_none_of_ours_is_no_result(redis_url: str, text: bytes) -> None:
    """Somebody may have written it by hand, or a version to come; the wait must not end on it."""
    delivered: list[Result | None] = []
    async with connect(redis_url) as redis:
        mailbox = Mailbox(redis, redis, KEYS)
        expectation = Expectation(DIGEST, delivered.append)
        expectation.submitted = True
        mailbox.expect(expectation)
        await redis.set(KEYS.result(DIGEST), text, px=60_000)
        await redis.hset(KEYS.job(DIGEST), "lane", "batch")
        await redis.pexpire(KEYS.job(DIGEST), 60_000)
        await mailbox.look([DIGEST])
        await mailbox.look_for_vanished([DIGEST])
        assert delivered == []
        await redis.set(KEYS.result(DIGEST), encode_result(counted(DIGEST, 7)), px=60_000)
        await mailbox.look([DIGEST])
        assert delivered == [counted(DIGEST, 7)]


async def test_a_job_that_is_gone_without_a_readable_result_has_vanished(redis_url: str) -> None:
    delivered: list[Result | None] = []
    async with connect(redis_url) as redis:
        mailbox = Mailbox(redis, redis, KEYS)
        expectation = Expectation(DIGEST, delivered.append)
        expectation.submitted = True
        mailbox.expect(expectation)
        await redis.set(KEYS.result(DIGEST), "nonsense", px=60_000)
        await mailbox.look_for_vanished([DIGEST])
    assert delivered == [None]
