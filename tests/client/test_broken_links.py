"""A link that the other end resets, as each event loop tells of it."""

from typing import Any

import anyio
import pytest
from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's own

from weighbridge.connection import RedisClient, connect, connect_unrepeated


async def ping_over_a_reset_link(redis: RedisClient) -> bool:
    """Reset the link after redis-py has looked at it, before it writes."""
    async with redis.client() as single:
        await single.ping()
        link: Any = single.connection
        link._writer.transport.abort()
        return bool(await single.ping())


@pytest.mark.parametrize("use_uvloop", [False, True])
def test_a_command_is_repeated_over_a_new_link(redis_url: str, *, use_uvloop: bool) -> None:
    async def ping() -> None:
        async with connect(redis_url) as redis:
            assert await ping_over_a_reset_link(redis)

    anyio.run(ping, backend_options={"use_uvloop": use_uvloop})


@pytest.mark.parametrize("use_uvloop", [False, True])
def test_where_none_is_repeated_it_is_an_error_of_the_link(
    redis_url: str, *, use_uvloop: bool
) -> None:
    async def ping() -> None:
        async with connect_unrepeated(redis_url) as redis:
            with pytest.raises(ConnectionError):
                await ping_over_a_reset_link(redis)
            assert await redis.ping()

    anyio.run(ping, backend_options={"use_uvloop": use_uvloop})
