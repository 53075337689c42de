"""What a mailbox makes of what it is told, without a look of its own unless one is needed."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest
from support.pools import until
from support.results import counted, failed
from support.sent_commands import sent_commands

from weighbridge import mailbox as module
from weighbridge.connection import RedisClient, connect, connect_unrepeated
from weighbridge.keys import Keys
from weighbridge.mailbox import Expectation, Mailbox
from weighbridge.records import Result, encode_result, read_result

pytestmark = pytest.mark.asyncio
KEYS = Keys()
DIGEST, OTHER = "d" * 64, "0" * 64
DEEP = b'{"status":"failed","code":"c","message":"m","new":' + b"[" * 50_000 + b"]" * 50_000 + b"}"


@pytest.fixture(autouse=True)
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the poll from finding what the messages should bring."""
    monkeypatch.setattr(module, "POLL_S", 3600.0)


class Waiter:
    """Waits for one digest."""

    def __init__(self, box: Mailbox, digest: str) -> None:
        self.delivered: list[Result | None] = []
        self.expectation = Expectation(digest, self.delivered.append)
        box.expect(self.expectation)


@asynccontextmanager
async def listening(url: str, *, options: str = "") -> AsyncIterator[tuple[RedisClient, Mailbox]]:
    """Run a mailbox; yields it with a hand in its server."""
    async with connect(url) as redis, connect_unrepeated(url + options) as subscriber:
        box = Mailbox(redis, subscriber, KEYS)
        async with anyio.create_task_group() as tasks:
            await tasks.start(lambda *, task_status: box.run(task_status=task_status))
            yield redis, box
            tasks.cancel_scope.cancel()


async def tell(redis: RedisClient, told: Iterable[Result | str]) -> None:
    """Publish as settle.lua does."""
    texts = [
        msgspec.json.encode(one) if isinstance(one, str) else encode_result(one) for one in told
    ]
    await redis.publish(KEYS.told, b"[" + b",".join(texts) + b"]")


async def test_a_told_result_is_delivered_as_its_key_would_give_it(redis_url: str) -> None:
    async with listening(redis_url) as (redis, box):
        waiter = Waiter(box, DIGEST)
        with sent_commands(redis_url) as sent:
            await tell(redis, [counted(OTHER), counted(DIGEST, 42)])
            await until(lambda: waiter.delivered)
        assert waiter.delivered == [read_result(encode_result(counted(DIGEST, 42)))]
        assert (sent["PUBLISH"], sent["MGET"], sent["GET"]) == (1, 0, 0)
        assert not box.expects(DIGEST)


async def test_all_that_wait_for_a_digest_are_told(redis_url: str) -> None:
    async with listening(redis_url) as (redis, box):
        waiters = [Waiter(box, DIGEST), Waiter(box, DIGEST), Waiter(box, OTHER)]
        await tell(redis, [counted(DIGEST), counted(OTHER, 8)])
        await until(lambda: all(waiter.delivered for waiter in waiters))
        assert [waiter.delivered[0] for waiter in waiters] == [
            counted(DIGEST),
            counted(DIGEST),
            counted(OTHER, 8),
        ]


@pytest.mark.parametrize("stands", [counted(DIGEST), failed(DIGEST)])
async def test_where_the_digest_alone_is_told_its_key_is_read(
    redis_url: str, stands: Result
) -> None:
    """The job that was told of failed; what stands under its key may be a count all the same."""
    async with listening(redis_url) as (redis, box):
        waiter = Waiter(box, DIGEST)
        await redis.set(KEYS.result(DIGEST), encode_result(stands), px=60_000)
        await tell(redis, [OTHER, DIGEST])
        await until(lambda: waiter.delivered)
        assert waiter.delivered == [stands]


async def test_what_nobody_here_waits_for_is_not_read(redis_url: str) -> None:
    async with listening(redis_url) as (redis, box):
        waiter = Waiter(box, DIGEST)
        await redis.set(KEYS.result(OTHER), encode_result(counted(OTHER)), px=60_000)
        with sent_commands(redis_url) as sent:
            await tell(redis, [OTHER, counted("1" * 64), "2" * 64])
            await tell(redis, [counted(DIGEST)])
            await until(lambda: waiter.delivered)
        assert sent["MGET"] == 0


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"[]",
        b"v9 something else,,",
        DIGEST.encode(),
        b"{}",
        b"[null]",
        b'[{"status":"invented","digest":"' + DIGEST.encode() + b'"}]',
        b'[{"status":"counted","digest":"' + DIGEST.encode() + b'"}]',
        b'["\xff"]',
        b"[" + DEEP + b"]",
    ],
    ids=lambda message: message[:40],
)
async def test_a_message_that_is_none_of_ours_is_passed_over(
    redis_url: str, message: bytes
) -> None:
    async with listening(redis_url) as (redis, box):
        waiter = Waiter(box, DIGEST)
        await redis.publish(KEYS.told, message)
        await tell(redis, [counted(DIGEST)])
        await until(lambda: waiter.delivered)
        assert waiter.delivered == [counted(DIGEST)]


async def test_a_look_that_fails_ends_no_listening(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(redis_url) as (redis, box):
        waiter, other = Waiter(box, DIGEST), Waiter(box, OTHER)
        await redis.lpush(KEYS.prefix + "no string", "x")
        await redis.pexpire(KEYS.prefix + "no string", 60_000)
        looked: list[str] = []

        async def refused(client: RedisClient, keys: list[str]) -> list[bytes | None]:
            looked.extend(keys)
            await client.get(KEYS.prefix + "no string")
            return []

        with monkeypatch.context() as patch:
            patch.setattr(module, "read_values", refused)
            await tell(redis, [DIGEST])
            await until(lambda: looked)
        await tell(redis, [counted(OTHER)])
        await until(lambda: other.delivered)
        await redis.set(KEYS.result(DIGEST), encode_result(counted(DIGEST)), px=60_000)
        await tell(redis, [DIGEST])
        await until(lambda: waiter.delivered)


async def test_no_message_is_lost_between_two_reads(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTEN_S", 0.0005)
    async with listening(redis_url) as (redis, box):
        waiters = [Waiter(box, f"{number:064}") for number in range(600)]
        for waiter in waiters:
            await tell(redis, [counted(waiter.expectation.digest)])
        await until(lambda: all(waiter.delivered for waiter in waiters))


async def test_a_subscription_that_is_cut_while_it_reads_is_renewed(redis_url: str) -> None:
    async with listening(redis_url) as (redis, box):
        first, second = Waiter(box, OTHER), Waiter(box, DIGEST)
        await tell(redis, [counted(OTHER)])
        await until(lambda: first.delivered)
        assert await redis.client_kill_filter(_type="pubsub") == 1

        async def told() -> bool:
            await tell(redis, [counted(DIGEST)])
            return bool(second.delivered)

        await until(told)


async def test_a_silent_subscription_is_looked_after(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTEN_S", 0.1)
    monkeypatch.setattr(module, "COMMAND_TIMEOUT_S", 0.1)
    join = "&" if "?" in redis_url else "?"
    async with listening(redis_url, options=f"{join}health_check_interval=1") as (redis, box):
        waiter = Waiter(box, DIGEST)
        with sent_commands(redis_url) as sent:
            await until(lambda: sent["PING"] >= 2)
        await tell(redis, [counted(DIGEST)])
        await until(lambda: waiter.delivered)
