"""The shared token bucket's own calls; its arithmetic stands in ``lua/parts/bucket.lua``.

A service with calls of its own to the same limit draws permits from the bucket that the workers
use::

    async with Bucket.connect("redis://127.0.0.1:6379/0", rpm=5000) as bucket:
        async with bucket.permit():
            ...  # one call, now
"""

import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from weighbridge.connection import (
    RedisClient,
    connect,
    connect_unrepeated,
    queue_errors,
    read_clock_us,
)
from weighbridge.draw import Draw
from weighbridge.exchange import LimitAction, LimitReply
from weighbridge.keys import Keys
from weighbridge.regrowth import WHOLE, share_of
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings

MAX_PENALTY_S = 60.0

FAILING = "failing"
"""The hold for an endpoint at which most calls fail; the word stands in parts/bucket.lua too."""


def interval_us(rpm: int) -> int:
    """Microseconds between two slots, rounded up so that the limit is never exceeded."""
    return -(-60_000_000 // rpm)


@dataclass(frozen=True, slots=True)
class BucketState:
    """The limit as it stands, and the use of it.

    Args:
        rpm: the full rate, calls a minute; 0 if nobody has set it yet.
        by_operator: whether it is an operator's, and no worker's setting.
        seen_rpm: a lower limit by the endpoint's own headers, while it is believed; else 0.
        share: of the full rate that penalties leave now, 0 to 1.
        paused: whether an operator holds the fleet.
        hold: why only probes are let through, or empty.
        blocked_s: until the end of a fleet-wide pause, or 0.
        used_rpm: permits over the last sixty seconds, the minute before counted by its share.
        granted: permits ever granted.
    """

    rpm: int
    by_operator: bool
    seen_rpm: int
    share: float
    paused: bool
    hold: str
    blocked_s: float
    used_rpm: float
    granted: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 429 as the fleet takes it.

    Args:
        wait_s: the pause it asks for.
        generation: of the lease whose call was refused.
        hold: why waiting alone does not help (a spend limit), or empty.
        ramp: whether it punishes a steep rise.
    """

    wait_s: float
    generation: int
    hold: str = ""
    ramp: bool = False


class Bucket:
    """One namespace's limit.

    Args:
        rpm: what to assume where the server has lost the rate.
        draw: this process's own permits, if it makes calls outside the queue.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: Keys,
        scripts: Scripts,
        *,
        rpm: int,
        draw: Draw | None = None,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts
        self._interval_us = interval_us(rpm)
        self._draw = draw

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        rpm: int,
        namespace: str = "weighbridge",
        allow_plaintext: bool = False,
    ) -> "AsyncIterator[Bucket]":
        """Open a namespace's bucket for calls of one's own.

        The rate is the namespace's: ``rpm`` sets it unless an operator did, as a worker's does.

        Raises:
            QueueUnreachable: the server does not answer, or refuses us.
            SettingsError: the URL leads to another machine without TLS, and may not.
        """
        QueueSettings(redis_url=url, namespace=namespace, allow_plaintext=allow_plaintext)
        redis, unrepeated, keys = connect(url), connect_unrepeated(url), Keys(namespace)
        scripts = Scripts(keys)
        caller = f"permits:{socket.gethostname()}:{secrets.token_hex(4)}"
        draw = Draw(unrepeated, scripts, caller=caller, interval_us=interval_us(rpm))
        bucket = cls(redis, keys, scripts, rpm=rpm, draw=draw)
        try:
            with queue_errors():
                await bucket.offer()
            yield bucket
        finally:
            await redis.aclose()
            await unrepeated.aclose()

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Wait for a permit; the block's one call must start at once.

        Fails closed: without the server there are no permits.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        if self._draw is None:
            raise RuntimeError("this bucket draws no permits: open it by Bucket.connect")
        with queue_errors():
            await self._draw.take_slot()
        yield

    async def offer(self, *, slow_start: float = 0.0) -> LimitReply:
        """Set the fleet's rate to ours, unless an operator set one."""
        return await self._scripts.limit(
            self._redis,
            "offer",
            interval_us=self._interval_us,
            slow_start=int(slow_start * WHOLE),
        )

    async def change(self, action: LimitAction, *, rpm: int | None = None) -> LimitReply:
        """Set (to ``rpm``), pause, resume or release the limit of a running fleet."""
        interval = interval_us(rpm) if rpm else self._interval_us
        return await self._scripts.limit(self._redis, action, interval_us=interval)

    async def penalise(self, refusal: Refusal) -> bool:
        """Pause the fleet and slow it down once a generation; True if this was the first of one."""
        _, fresh = await self._scripts.penalise(
            self._redis,
            wait_us=int(min(max(refusal.wait_s, 0.0), MAX_PENALTY_S) * 1_000_000),
            generation=refusal.generation,
            hold=refusal.hold,
            ramp=refusal.ramp,
            interval_us=self._interval_us,
        )
        return fresh

    async def observe(self, *, limit: int, low: bool) -> int:
        """Tell what the endpoint's headers say; returns µs between slots.

        Args:
            limit: calls a minute; 0 if they do not say.
            low: whether the endpoint's own bucket runs low.
        """
        return await self._scripts.observe(
            self._redis, limit=limit, low=low, interval_us=self._interval_us
        )

    async def probed(self) -> None:
        """End a hold: its probe succeeded."""
        await self.change("probed")

    async def inspect(self) -> BucketState:
        """Read the state."""
        *values, hold = await self._redis.hmget(self._keys.bucket, [*_NUMBERS, "hold"])
        at = {name: int(value or 0) for name, value in zip(_NUMBERS, values, strict=True)}
        now = await read_clock_us(self._redis, self._keys.bucket)
        blocked_s = (at["blocked_until"] - now) / 1_000_000
        return BucketState(
            rpm=_rpm(at["interval"]),
            by_operator=bool(at["by_operator"]),
            seen_rpm=_rpm(at["seen_interval"]) if now < at["seen_until"] else 0,
            share=share_of(at["cut"] or WHOLE, at["crest"], now - at["cut_at"]) / WHOLE,
            paused=bool(at["paused"]),
            hold=hold.decode() if isinstance(hold, bytes) else "",
            blocked_s=blocked_s if 0 < blocked_s <= MAX_PENALTY_S else 0.0,
            used_rpm=_used(at, now // 1_000_000),
            granted=at["granted"],
        )


_NUMBERS = (
    "interval",
    "by_operator",
    "seen_interval",
    "seen_until",
    "cut",
    "cut_at",
    "crest",
    "blocked_until",
    "paused",
    "minute",
    "this_minute",
    "last_minute",
    "granted",
)
"""The integers among the bucket's fields that a look from outside needs."""


def _rpm(interval: int) -> int:
    """Give the rate back of which this is the interval."""
    return -(-60_000_000 // interval) if interval else 0


def _used(at: Mapping[str, int], now_s: int) -> float:
    counted = {at["minute"]: at["this_minute"], at["minute"] - 1: at["last_minute"]}
    current, into = divmod(now_s, 60)
    return counted.get(current, 0) + counted.get(current - 1, 0) * (1 - into / 60)
