"""Redis clients: time-outs, retries, one place."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import anyio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from weighbridge.errors import QueueUnreachable, ResultTimeout, SettingsError, WeighbridgeError

RedisClient: TypeAlias = "Redis"

COMMAND_TIMEOUT_S = 5.0
"""One command's reply; scripts are idempotent, so a repeated one is harmless."""

BLOCKING_TIMEOUT_S = 15.0
"""Longer than any blocking wait of ours (POLL_S): redis-py counts a wait as silence."""

POLL_S = 5.0
"""The longest wait on a list or stream before an idle reader looks by itself."""


def connect(url: str) -> RedisClient:
    """Make a client for commands and idempotent scripts, repeating what a broken link cut.

    Raises:
        SettingsError: the URL is none that Redis clients know.
    """
    retry = Retry(ExponentialWithJitterBackoff(cap=1.0, base=0.05), retries=6)
    return _client(url, COMMAND_TIMEOUT_S, retry)


def connect_unrepeated(url: str) -> RedisClient:
    """Make a client for blocking reads and ``take``: a repetition would strand their grants.

    Raises:
        SettingsError: the URL is none that Redis clients know.
    """
    return _client(url, BLOCKING_TIMEOUT_S, Retry(NoBackoff(), retries=0))


def _client(url: str, timeout_s: float, retry: Retry) -> RedisClient:
    try:
        return Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=COMMAND_TIMEOUT_S,
            retry=retry,
            health_check_interval=30,
            max_connections=1000,
        )
    except (ValueError, AttributeError) as error:
        raise SettingsError(
            "WEIGHBRIDGE_REDIS_URL (or --redis) takes redis://, rediss:// or unix:// URLs,"
            " such as redis://127.0.0.1:6379/0"
        ) from error


async def read_values(redis: RedisClient, keys: Sequence[str]) -> list[bytes | None]:
    """Read many strings in one round trip, None where there is none."""
    values: list[Any] = await redis.mget(keys)
    return values


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
    """Translate what redis-py raises; the text never holds a URL, for a URL may hold a password."""
    if isinstance(error, AuthenticationError):
        return QueueUnreachable("the Redis server refuses our user or password")
    if isinstance(error, ResponseError):
        return QueueUnreachable(f"the Redis server refuses a command: {error}")
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
