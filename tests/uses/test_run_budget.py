"""One budget, many processes: never over, and what a killed one had reserved goes back."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync
from redis.asyncio import Redis
from support.pools import Answers, running_pool, until
from support.processes import first_line
from support.spender import HELD, RUN

from weighbridge import QueueSettings
from weighbridge.keys import Keys
from weighbridge.uses.nano_usd import from_nano
from weighbridge.uses.run_budget import BudgetState, RunBudget

pytestmark = pytest.mark.asyncio

SPENDER = Path(__file__).parents[1] / "support" / "spender.py"
PROCESSES = 8
DOCUMENTS = 80


@contextmanager
def spender(*words: object) -> Iterator["subprocess.Popen[str]"]:
    """Run a spender while the block runs; it is killed at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, str(SPENDER), *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def state_of(url: str, limit: Decimal) -> BudgetState:
    """Look at the run's budget."""
    async with RunBudget.connect(QueueSettings(redis_url=url), run=RUN, limit=limit) as budget:
        return await budget.inspect()


async def granted(url: str, limit: Decimal) -> bool:
    """Try to reserve all of the budget; what was granted goes back at once."""
    async with RunBudget.connect(QueueSettings(redis_url=url), run=RUN, limit=limit) as budget:
        [reservation] = await budget.reserve([limit])
        await budget.release([reservation.id] if reservation.granted else [])
        return reservation.granted


async def test_eight_processes_never_overshoot_one_budget(redis_url: str) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    limit = Decimal("0.004")  # less than half of what all of them together would spend
    settings = QueueSettings(redis_url=redis_url)
    async with running_pool(redis_url, Answers()):
        with ExitStack() as stack:
            processes = [
                stack.enter_context(
                    spender("guard", redis_url, limit, DOCUMENTS, f"{seed}-{number}")
                )
                for number in range(PROCESSES)
            ]
            async with RunBudget.connect(settings, run=RUN, limit=limit) as budget:
                while any(process.poll() is None for process in processes):
                    state = await budget.inspect()
                    assert state.left >= 0
                    await anyio.sleep(0.02)
            said: list[str] = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    figures = [[int(word) for word in out.split()] for out in said]
    state = await state_of(redis_url, limit)
    assert state.spent == from_nano(sum(spent for spent, _ in figures))
    assert state.reserved == 0
    assert state.spent <= limit
    assert sum(refused for _, refused in figures) > 0, "the budget was met"


async def test_a_killed_holders_reservation_goes_back_when_its_lease_ends(redis_url: str) -> None:
    limit = Decimal(25)
    with spender("hold", redis_url, limit, 600) as holder:
        assert await run_sync(first_line, holder) == "holds"
        assert not await granted(redis_url, limit)
        holder.kill()
        await run_sync(holder.wait)
    assert not await granted(redis_url, limit), "its lease has not ended"
    async with Redis.from_url(redis_url) as redis:
        now_s, _ = await redis.time()
        await redis.zadd(Keys().budget_held(RUN), {HELD: now_s * 1_000_000})
    assert await granted(redis_url, limit)


async def test_a_killed_holders_short_lease_ends_by_itself(redis_url: str) -> None:
    limit = Decimal(25)
    with spender("hold", redis_url, limit, 1) as holder:
        assert await run_sync(first_line, holder) == "holds"
        holder.kill()
        await run_sync(holder.wait)
    await until(lambda: granted(redis_url, limit), within_s=30)
    assert (await state_of(redis_url, limit)).left == limit
