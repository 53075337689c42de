"""Our connections: whatever comes at once, large or unasked, each command has its reply."""

import pytest
from redis.exceptions import ResponseError

from weighbridge.connection import ask_server, connect
from weighbridge.link import Link

pytestmark = pytest.mark.asyncio


async def test_a_client_has_them(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        assert issubclass(redis.connection_pool.connection_class, Link)


async def test_replies_that_arrive_together_are_given_one_by_one(redis_url: str) -> None:
    asked = [("SET", "a", "é"), ("GET", "a"), ("GET", "none"), ("INCR", "a"), ("MGET", "a", "none")]
    async with connect(redis_url) as redis:
        done, text, none, error, both = await ask_server(redis, "a", asked)
        assert (done, text, none, both) == (True, "é".encode(), None, ["é".encode(), None])
        assert isinstance(error, ResponseError)
        assert await redis.getdel("a") == "é".encode()


async def test_a_name_of_two_words_is_two(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        assert await redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


async def test_what_the_server_does_not_take_at_once_arrives_too(redis_url: str) -> None:
    large = b"x" * 16 * 2**20
    async with connect(redis_url) as redis:
        answers = await ask_server(
            redis, "a", [("SET", "a", large), ("STRLEN", "a"), ("GETDEL", "a")]
        )
        assert answers == [True, len(large), large]


async def test_a_message_that_nobody_asked_for_is_no_reply(redis_url: str) -> None:
    async with (
        connect(redis_url) as other,
        connect(redis_url) as pool,
        pool.client() as redis,
    ):
        await other.set("a", 1)
        await redis.execute_command("CLIENT", "TRACKING", "ON")  # type: ignore[no-untyped-call]
        assert await redis.get("a") == b"1"
        for number in range(2, 5):
            await other.set("a", number)
            assert await ask_server(redis, "a", [("PING",), ("GET", "a")]) == [True, b"%d" % number]
            assert await redis.get("a") == b"%d" % number
        await other.delete("a")
