"""Redis clients: time-outs, retries, one place."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import anyio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import AuthenticationError, OutOfMemoryError, RedisError, ResponseError

from weighbridge.errors import QueueUnreachable, ResultTimeout, SettingsError, WeighbridgeError

T = TypeVar("T")
RedisClient: TypeAlias = "Redis"

COMMAND_TIMEOUT_S = 5.0
"""One command's reply; scripts are idempotent, so a repeated one is harmless."""

BLOCKING_TIMEOUT_S = 15.0
"""Longer than any blocking wait of ours (10 s, on the inbox): redis-py counts a wait as silence."""

POLL_S = 5.0
"""The longest wait of a worker that has something to do before it looks again by itself."""


class PatientRetry(Retry):
    """Repeats what a broken link cut, but not a log-in that was refused: redis-py's own repeats
    that at each of its layers, some hundred times over minutes.
    """

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[T]],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """Do it until it succeeds, within the bounds."""
        return await super().call_with_retry(
            do, fail, is_retryable or _may_pass, with_failure_count
        )


def _may_pass(error: Exception) -> bool:
    return not isinstance(server_error(error), AuthenticationError)


def server_error(error: Exception) -> Exception:
    """Take what the server said out of redis-py's wrapping: it hides a refused log-in in a
    ConnectionError.
    """
    return error.__cause__ if isinstance(error.__cause__, RedisError) else error


def connect(url: str) -> RedisClient:
    """Make a client for commands and idempotent scripts, repeating what a broken link cut.

    Raises:
        SettingsError: the URL is none that Redis clients know.
    """
    retry = PatientRetry(ExponentialWithJitterBackoff(cap=1.0, base=0.05), retries=6)
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
