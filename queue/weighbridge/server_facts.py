"""What a Redis server says of itself, as far as it lets us ask."""

import re
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from weighbridge.connection import RedisClient, ask_server, read_clock_us
from weighbridge.keys import Keys


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server seen from one connection; None where it does not tell.

    Args:
        product: ``Redis`` or ``Valkey``; others that speak their protocol count as Redis.
        version: of that product.
        policy: which keys it evicts when it is full.
        role: ``master`` or ``slave``.
        clock_us: its own clock.
        stepped_us: how much later its clock stood at a second look; negative if it ran backwards.
        visited_us: when, by the same clock, a worker of the namespace visited last.
    """

    product: str
    version: tuple[int, int] | None
    policy: str | None
    role: str | None
    clock_us: int
    stepped_us: int
    visited_us: int | None


async def read_facts(redis: RedisClient, keys: Keys) -> ServerFacts:
    """Ask the server; three round trips.

    Raises:
        RedisError: it does not answer, or refuses more than INFO.
    """
    visited = await redis.hget(keys.bucket, "visited")
    began = await read_clock_us(redis, keys.bucket)
    info = await _info(redis, keys)
    now = await read_clock_us(redis, keys.bucket)
    return ServerFacts(
        product="Valkey" if "valkey_version" in info else "Redis",
        version=_version(info.get("valkey_version", info.get("redis_version"))),
        policy=info.get("maxmemory_policy"),
        role=info.get("role"),
        clock_us=now,
        stepped_us=now - began,
        visited_us=None if visited is None else int(visited),
    )


async def _info(redis: RedisClient, keys: Keys) -> dict[str, Any]:
    """Read INFO; there are managed servers that hide it, and users that may not ask."""
    [answer] = await ask_server(redis, keys.bucket, [("INFO",)])
    if isinstance(answer, ResponseError):
        return {}
    if isinstance(answer, Exception):
        raise answer
    return dict(answer)


def _version(text: Any) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", str(text))
    return (int(found[1]), int(found[2])) if found else None
