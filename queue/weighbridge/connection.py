"""Redis clients: one server, the primary that sentinels name, or a cluster; one place."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import anyio
from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.exceptions import (
    AuthenticationError,
    MovedError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)

from weighbridge.cluster import ClusterClient, PatientPipeline
from weighbridge.errors import QueueUnreachable, ResultTimeout, SettingsError, WeighbridgeError
from weighbridge.link import LINKS, ResetAfterHandshake
from weighbridge.retries import never, over_a_blip, over_a_failover, server_error
from weighbridge.sentinel import primary
from weighbridge.server_url import FORMS, ServerUrl, parse_server_url
from weighbridge.tls import check_files, tls_refusal

RedisClient: TypeAlias = "Redis"
"""Any of the three: what differs on a cluster is hidden in it, or in the functions below."""

COMMAND_TIMEOUT_S = 5.0
"""One command's reply; scripts are idempotent, so a repeated one is harmless."""

BLOCKING_TIMEOUT_S = 15.0
"""Longer than any blocking wait of ours (10 s, on the inbox): redis-py counts a wait as silence."""

POLL_S = 5.0
"""The longest wait of a worker that has something to do before it looks again by itself."""

TIME = "return redis.call('TIME')"
"""A script of a key, so that on a cluster the node that keeps the key tells its time."""

Command = Sequence[str | bytes | int | float]


def connect(url: str) -> RedisClient:
    """Make a client for commands and idempotent scripts, repeating what a broken link cut.

    Where a replica may take over, it repeats until one has.

    Raises:
        SettingsError: the URL is none that Redis clients know, or names files that are not there.
    """
    server = _parse(url)
    retry = over_a_blip() if server.kind == "single" else over_a_failover()
    return _client(server, COMMAND_TIMEOUT_S, retry)


def connect_unrepeated(url: str) -> RedisClient:
    """Make a client for blocking reads and ``take``: a repetition would strand their grants.

    Raises:
        SettingsError: the URL is none that Redis clients know, or names files that are not there.
    """
    return _client(_parse(url), BLOCKING_TIMEOUT_S, never())


def _parse(url: str) -> ServerUrl:
    try:
        return parse_server_url(url)
    except ValueError as error:
        raise _no_url(str(error)) from error


def _no_url(takes: str) -> SettingsError:
    return SettingsError(f"WEIGHBRIDGE_REDIS_URL (or --redis) {takes}")


def _client(server: ServerUrl, timeout_s: float, retry: Retry) -> RedisClient:
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": COMMAND_TIMEOUT_S,
        "retry": retry,
        "health_check_interval": 30,
        "max_connections": 1000,
    }
    try:
        said: dict[str, Any] = dict(parse_url(server.plain))
        check_files(said)
        if server.kind == "single":
            kind = LINKS[said.pop("connection_class", Connection)]
            return Redis.from_pool(ConnectionPool(kind, **options | said))
        return _several(server, options | said)
    except (ValueError, AttributeError, TypeError) as error:
        raise _no_url(f"takes {FORMS}") from error


def _several(server: ServerUrl, options: dict[str, Any]) -> RedisClient:
    """Make a client of several servers; the hosts stand in for the one that the options name."""
    for name in ("host", "port", "connection_class"):
        options.pop(name, None)
    if server.tls:
        options["ssl"] = True
    if server.kind == "sentinel":
        return primary(server.hosts, server.service, options)
    options.pop("db", None)
    return cast("Redis", ClusterClient(server.hosts, **options))


def results_apart(redis: RedisClient) -> bool:
    """Whether results stand on other servers than the queue, where no script of its reaches."""
    return isinstance(redis, ClusterClient)


async def read_values(redis: RedisClient, keys: Sequence[str]) -> list[bytes | None]:
    """Read many strings in one round trip a server, None where there is none."""
    many = redis.mget_nonatomic if isinstance(redis, ClusterClient) else redis.mget
    values: Any = await many(keys)
    return list(values)


async def read_clock_us(redis: RedisClient, key: str) -> int:
    """Read the clock of the server that keeps a key."""
    return clock_us(await redis.eval(TIME, 1, key))


def clock_us(reply: Sequence[bytes]) -> int:
    """Read the reply of ``TIME``."""
    return int(reply[0]) * 1_000_000 + int(reply[1])


async def ask_server(redis: RedisClient, key: str, commands: Sequence[Command]) -> list[Any]:
    """Send commands together to the server that keeps a key, over one connection.

    A command's error is its answer.
    """
    pipe = redis.pipeline(transaction=False)
    if isinstance(pipe, PatientPipeline):
        pipe.beside(key)
    for command in commands:
        pipe.execute_command(*command)
    answers: list[Any] = await pipe.execute(raise_on_error=False)
    return answers


async def walk(
    redis: RedisClient, pattern: str, *, count: int
) -> AsyncGenerator[list[bytes], None]:
    """Walk through the keys of all servers, about ``count`` of them a round trip."""
    places: list[dict[str, Any]] = [{}]
    if isinstance(redis, ClusterClient):
        places = [{"target_nodes": node} for node in await redis.primaries()]
    for place in places:
        cursor: Any = None
        while cursor != 0:
            reply: Any = redis.scan(cursor or 0, match=pattern, count=count, **place)
            cursor, keys = await reply
            if isinstance(cursor, dict):
                [cursor] = cursor.values()
            yield keys


@contextmanager
def queue_errors() -> Iterator[None]:
    """Let errors of ours out instead of redis-py's.

    Raises:
        QueueUnreachable: the server does not answer, or refuses us.
    """
    try:
        yield
    except RedisError as error:
        raise queue_error(error) from None


def queue_error(error: RedisError) -> WeighbridgeError:
    """Translate what redis-py raises.

    The text never holds a URL, for a URL may hold a password, nor the command that redis-py quotes
    where a pipeline failed, for a SET holds a payload.
    """
    if isinstance(server_error(error), AuthenticationError):
        return QueueUnreachable("the Redis server refuses our user or password")
    if isinstance(error, OutOfMemoryError):
        return QueueUnreachable(
            "the Redis server is full (maxmemory); let the queue drain, or give it more memory"
        )
    refusal = str(error) if isinstance(error, ResetAfterHandshake) else tls_refusal(error)
    if refusal is not None:
        return QueueUnreachable(refusal)
    if isinstance(error, MovedError):
        return QueueUnreachable(
            "the Redis server is a node of a cluster: WEIGHBRIDGE_REDIS_URL (or --redis) must say"
            " so, redis+cluster://host:port,host:port (rediss+cluster:// with TLS)"
        )
    if isinstance(error, ResponseError):
        said = str(error).rpartition("of pipeline caused error: ")[2].strip("(\"',)")
        return QueueUnreachable(f"the Redis server refuses a command: {said}")
    return QueueUnreachable(
        f"the Redis server does not answer ({type(error).__name__}); is it running, and is"
        " WEIGHBRIDGE_REDIS_URL (or --redis) right?"
    )


@contextmanager
def patience(timeout_s: float) -> Iterator[None]:
    """Wait for a result no longer than ``timeout_s``.

    Raises:
        ResultTimeout: the block took longer.
    """
    try:
        with anyio.fail_after(timeout_s):
            yield
    except TimeoutError:
        raise ResultTimeout(
            f"no result within {timeout_s:g} s; the job goes on, its result will be in the cache"
        ) from None
