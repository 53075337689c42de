"""One budget for a whole run, shared by all who work on it.

Whoever is about to spend reserves first, and says afterwards what it came to. A reservation has a
lease by the server's clock: what a dead process had reserved goes back when its lease ends.
"""

import re
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from weighbridge.connection import RedisClient, connect, queue_errors
from weighbridge.errors import BudgetMismatch, SettingsError
from weighbridge.keys import Keys
from weighbridge.settings import NAME, NAME_WORDS, QueueSettings
from weighbridge.uses.budget_scripts import BudgetScripts, Settlement
from weighbridge.uses.nano_usd import NANO, check_usd, from_nano, to_nano

LEASE_S = 900.0
"""Longer than any generation: a reservation whose lease ends early may be granted twice."""

MOST_LEASE_S = 86_400.0
"""A day, as in parts/budget.lua."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """An amount that was asked for.

    Args:
        left: None if it was granted, otherwise what the budget had left for it.
    """

    id: str
    usd: Decimal
    left: Decimal | None

    @property
    def granted(self) -> bool:
        """Whether the amount is reserved."""
        return self.left is None


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A run's budget, in exact dollars."""

    run: str
    limit: Decimal
    spent: Decimal
    reserved: Decimal

    @property
    def left(self) -> Decimal:
        """What may still be reserved."""
        return self.limit - self.spent - self.reserved


class RunBudget:
    """The budget of one run.

    Args:
        run: its name; whoever gives the same one shares the budget, until 30 days after its last
            use.
        limit: dollars, the same for all who share it.
        lease_s: how long a reservation holds without being settled or renewed.

    Raises:
        SettingsError: the name or a number is none the budget takes.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: Keys,
        *,
        run: str,
        limit: Decimal,
        lease_s: float = LEASE_S,
        flags: bool = True,
    ) -> None:
        if not re.fullmatch(NAME, run):
            raise SettingsError(f"a run's name takes {NAME_WORDS}, not {run!r}")
        if not 1 <= lease_s <= MOST_LEASE_S:
            raise SettingsError(f"a lease takes 1 to {MOST_LEASE_S:,.0f} seconds, not {lease_s}")
        self.run = run
        self.limit = check_usd(limit, "a run's budget")
        self._limit = int(limit * NANO)  # rounded down: never is too much granted
        self._redis = redis
        self._lease_us = int(lease_s * 1_000_000)
        self._scripts = BudgetScripts(keys, run, flags=flags)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, settings: QueueSettings, *, run: str, limit: Decimal, lease_s: float = LEASE_S
    ) -> AsyncIterator[Self]:
        """Connect to the queue's server and open the budget there.

        Raises:
            BudgetMismatch: the run has a budget of another size.
            QueueUnreachable: the server does not answer.
        """
        async with connect(settings.redis_url) as redis:
            budget = cls(redis, Keys(settings.namespace), run=run, limit=limit, lease_s=lease_s)
            await budget.open()
            yield budget

    async def open(self) -> BudgetState:
        """Begin the run, or join it.

        Raises:
            BudgetMismatch: it has a budget of another size.
            QueueUnreachable: the server does not answer.
        """
        return await self._look(self._limit)

    async def inspect(self) -> BudgetState:
        """Look at the budget, what has gone back by now included.

        Raises:
            BudgetMismatch: the run is not there, or has a budget of another size.
            QueueUnreachable: the server does not answer.
        """
        return await self._look(None)

    async def reserve(
        self,
        amounts: Sequence[Decimal],
        *,
        ids: Sequence[str] | None = None,
        spend: bool = False,
    ) -> list[Reservation]:
        """Reserve amounts, all in one step, each of them whole or not at all.

        Args:
            ids: the reservations' own; a live one that comes again has its lease renewed and
                nothing else. By default each is new.
            spend: the money is spent with that, and there is nothing to settle.

        Raises:
            BudgetMismatch: the run is gone, or has a budget of another size.
            QueueUnreachable: the server does not answer.
        """
        names = _new_ids(len(amounts)) if ids is None else ids
        wanted = [(name, to_nano(usd)) for name, usd in zip(names, amounts, strict=True)]
        with queue_errors():
            stands, left = await self._scripts.reserve(
                self._redis, wanted, limit=self._limit, lease_us=self._lease_us, at_once=spend
            )
        self._check(stands)
        return [
            Reservation(name, from_nano(amount), None if rest is None else from_nano(rest))
            for (name, amount), rest in zip(wanted, left, strict=True)
        ]

    async def settle(self, spent: Mapping[str, Decimal | None]) -> tuple[Settlement, ...]:
        """End reservations, in one step, with what they came to; None is all that was reserved.

        More than was reserved counts too, for it is spent, and may put the run over its budget.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        amounts = [(name, None if usd is None else to_nano(usd)) for name, usd in spent.items()]
        with queue_errors():
            return await self._scripts.settle(self._redis, amounts)

    async def release(self, ids: Iterable[str]) -> None:
        """Give reservations back.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        await self.settle(dict.fromkeys(ids, Decimal(0)))

    async def _look(self, limit: int | None) -> BudgetState:
        with queue_errors():
            stands, spent, reserved = await self._scripts.open(self._redis, limit=limit)
        self._check(stands)
        return BudgetState(self.run, self.limit, from_nano(spent), from_nano(reserved))

    def _check(self, stands: int | None) -> None:
        if stands is None:
            raise BudgetMismatch(
                f"the budget of run {self.run!r} is gone from the server, and what was spent of it"
                " is not known; begin another run"
            )
        if stands != self._limit:
            raise BudgetMismatch(
                f"run {self.run!r} has a budget of ${from_nano(stands)}, not ${self.limit};"
                " give the same one, or another run's name"
            )


def _new_ids(count: int) -> list[str]:
    base = uuid.uuid4().hex
    return [f"{base}:{number}" for number in range(count)]
