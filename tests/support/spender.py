"""A process that works on a run's budget.

``spender.py guard URL LIMIT DOCUMENTS SEED`` guards payloads, settles each admitted one at all or a
random share of what was reserved, and prints the nanodollars it spent and how many it was refused.
``spender.py hold URL LIMIT LEASE_S`` reserves all of the budget, says so and never settles.
"""

import random
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import anyio

from weighbridge import Client, QueueSettings
from weighbridge.uses.guard import Guard, Prices, RunBudget
from weighbridge.uses.nano_usd import from_nano, to_nano

RUN = "nightly"
HELD = "held"


def document(number: int) -> dict[str, Any]:
    """Make one of many payloads, each with another price."""
    message = {"role": "user", "content": f"payload number {number} " + "x" * (number % 97)}
    return {"model": "claude-haiku-5-5", "messages": [message], "max_tokens": 1 + 7 * number % 89}


async def guard(url: str, limit: str, documents: str, seed: str) -> None:
    rng = random.Random(seed)
    numbers = list(range(int(documents)))
    rng.shuffle(numbers)
    spent = refused = 0
    async with (
        Client.connect(url) as wb,
        RunBudget.connect(wb.settings, run=RUN, limit=Decimal(limit)) as budget,
    ):
        admitting = Guard(wb, Prices.load(), budget=budget)
        async for decision in admitting.filter(document(number) for number in numbers):
            if decision.reason == "over_run_budget":
                refused += 1
                continue
            assert decision.usd_worst is not None
            reserved = to_nano(decision.usd_worst)
            real = rng.choice([reserved, rng.randrange(reserved + 1)])
            await admitting.settle(decision, usd=from_nano(real))
            spent += real
    print(spent, refused, flush=True)


async def hold(url: str, limit: str, lease_s: str) -> None:
    settings = QueueSettings(redis_url=url)
    usd = Decimal(limit)
    async with RunBudget.connect(settings, run=RUN, limit=usd, lease_s=float(lease_s)) as budget:
        [reservation] = await budget.reserve([usd], ids=[HELD])
        print("holds" if reservation.granted else "refused", flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    commands: dict[str, Callable[..., Awaitable[None]]] = {"guard": guard, "hold": hold}
    anyio.run(commands[sys.argv[1]], *sys.argv[2:])
