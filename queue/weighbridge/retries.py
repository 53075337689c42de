"""Which failures of a connection are worth a repetition, and for how long."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar, cast

from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    ClusterError,
    ConnectionError,  # noqa: A004 - redis-py's own
    RedisError,
    SlotNotCoveredError,
    TimeoutError,  # noqa: A004 - redis-py's own
    TryAgainError,
)

from weighbridge.tls import tls_refusal

T = TypeVar("T")

FAILOVER_S = 40.0
"""How long a client repeats a command where a replica may take over: a Cluster's default patience
with a silent node is 15 s, a Sentinel's 30 s."""

PASSING: tuple[type[Exception], ...] = (
    ConnectionError,
    TimeoutError,
    ClusterDownError,
    ClusterError,
    SlotNotCoveredError,
    TryAgainError,
)
"""What a fail-over brings about and ends."""


HANDLE_CLOSED = "the handler is closed"
"""What uvloop says, in a RuntimeError, of a link that the other end has reset."""


class LinkRetry(Retry):
    """Knows a broken link by uvloop's word for it too, which redis-py lets through as a bug."""

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[T]],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """Do it until it succeeds, or may not be repeated."""

        async def attempt() -> T:
            try:
                return await do()
            except RuntimeError as error:
                if HANDLE_CLOSED not in str(error):
                    raise
                raise ConnectionError("the link was closed by the other end") from None

        return await super().call_with_retry(attempt, fail, is_retryable, with_failure_count)


class PatientRetry(LinkRetry):
    """Repeats what a broken link cut, but not a log-in or a certificate that was refused.

    redis-py's own repeats those at each of its layers, some hundred times over minutes.

    Args:
        retries: at most so many repetitions; -1 for any number.
        for_s: none after so many seconds.
    """

    def __init__(self, *, retries: int, for_s: float) -> None:
        super().__init__(
            ExponentialWithJitterBackoff(cap=1.0, base=0.05), retries, cast("Any", PASSING)
        )
        self._for_s = for_s

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[T]],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """Do it until it succeeds, within the bounds."""
        ends_at = monotonic() + self._for_s

        def may_pass(error: Exception) -> bool:
            passes = (is_retryable or _may_pass)(error)
            return passes and monotonic() < ends_at

        return await super().call_with_retry(do, fail, may_pass, with_failure_count)


def over_a_blip() -> Retry:
    """Make what repeats over a few seconds, for one server."""
    return PatientRetry(retries=6, for_s=FAILOVER_S)


def over_a_failover() -> Retry:
    """Make what repeats until a replica has taken over."""
    return PatientRetry(retries=-1, for_s=FAILOVER_S)


def never() -> Retry:
    """Make what repeats nothing."""
    return LinkRetry(NoBackoff(), 0)


def server_error(error: Exception) -> Exception:
    """Take what the server said out of redis-py's wrapping: it hides a refused log-in in a
    ConnectionError.
    """
    return error.__cause__ if isinstance(error.__cause__, RedisError) else error


def _may_pass(error: Exception) -> bool:
    refused = isinstance(server_error(error), AuthenticationError)
    return not refused and tls_refusal(error) is None
