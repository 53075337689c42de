"""The run budget's Lua scripts, one typed function each; amounts are whole nanodollars."""

from collections.abc import Sequence
from typing import Literal

from weighbridge.connection import RedisClient
from weighbridge.keys import Keys
from weighbridge.script import Arg, Script

Settlement = Literal["settled", "late", "unknown"]
"""``late``: the lease had ended, and the money counts as spent all the same; ``unknown``: settled
before, or never granted."""


class BudgetScripts:
    """The scripts of one run in one namespace."""

    def __init__(self, keys: Keys, run: str, *, flags: bool = True) -> None:
        self._keys = (keys.budget(run), keys.budget_held(run), keys.budget_amounts(run))
        self._open = Script("budget_open", flags=flags)
        self._reserve = Script("budget_reserve", flags=flags)
        self._settle = Script("budget_settle", flags=flags)

    async def open(self, redis: RedisClient, *, limit: int | None) -> tuple[int | None, int, int]:
        """Give the limit that stands (None: no such run), what is spent and what is reserved.

        Args:
            limit: set where there is none yet; None only looks.
        """
        reply = await self._open(redis, self._keys, ("" if limit is None else limit,))
        stands, spent, reserved = reply
        return int(stands) if stands else None, int(spent), int(reserved)

    async def reserve(
        self,
        redis: RedisClient,
        reservations: Sequence[tuple[str, int]],
        *,
        limit: int,
        lease_us: int,
        at_once: bool,
    ) -> tuple[int | None, list[int | None]]:
        """Reserve (id, amount) each, or spend them ``at_once``.

        Returns the limit that stands (None: the run is gone) and, if it is ``limit``, for each None
        where it was granted, otherwise what was left.
        """
        args: list[Arg] = [limit, lease_us, int(at_once)]
        for reservation in reservations:
            args += reservation
        stands, *statuses = await self._reserve(redis, self._keys, args)
        left = [None if status == b"granted" else int(status) for status in statuses]
        return int(stands) if stands else None, left

    async def settle(
        self, redis: RedisClient, spent: Sequence[tuple[str, int | None]]
    ) -> tuple[Settlement, ...]:
        """End reservations (id, amount): the amount stays spent; None is all that was reserved."""
        args: list[Arg] = []
        for reservation, amount in spent:
            args += (reservation, "" if amount is None else amount)
        statuses = await self._settle(redis, self._keys, args)
        return tuple(status.decode() for status in statuses)
