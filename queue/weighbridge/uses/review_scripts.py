"""The review log's Lua scripts, one typed function each."""

from collections.abc import Sequence
from typing import Literal

from weighbridge.connection import RedisClient
from weighbridge.keys import Keys
from weighbridge.script import Arg, Script

Claim = tuple[str, str, int | None]
"""A digest, who claims its approval, and the price in nanodollars (None: no money is asked for)."""


class ReviewScripts:
    """The scripts of one namespace."""

    def __init__(self, keys: Keys, *, flags: bool = True) -> None:
        self._keys = keys
        self._write = Script("review_write", flags=flags)
        self._approve = Script("review_approve", flags=flags)
        self._claim = Script("review_claim", flags=flags)

    async def write(
        self, redis: RedisClient, refusals: Sequence[bytes], *, operation: str, most: int
    ) -> int:
        """Write refusals, once an ``operation``; returns how many were written."""
        keys = (self._keys.review, self._keys.review_written(operation))
        written: int = await self._write(redis, keys, (most, *refusals))
        return written

    async def approve(
        self,
        redis: RedisClient,
        digest: str,
        *,
        approval: str,
        most: int | None,
        ttl_ms: int,
        entries: Sequence[str],
    ) -> None:
        """Approve a digest for at most ``most`` nanodollars, and strike its entries."""
        keys = (self._keys.approval(digest), self._keys.review)
        args: list[Arg] = [approval, "" if most is None else most, ttl_ms, *entries]
        await self._approve(redis, keys, args)

    async def claim(
        self,
        redis: RedisClient,
        claims: Sequence[Claim],
        *,
        action: Literal["claim", "return"] = "claim",
    ) -> list[bool]:
        """Claim approvals, or return them; says for each whether it is the claimant's."""
        args: list[Arg] = [action]
        for _, claimant, price in claims:
            args += (claimant, "" if price is None else price)
        keys = [self._keys.approval(digest) for digest, _, _ in claims]
        return [bool(done) for done in await self._claim(redis, keys, args)]
