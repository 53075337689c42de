"""A client that asks at a steady rate for so long, then prints what came of it: python -m … .

Of twenty payloads thirteen are new, four were asked for before, and one names a model that there
is not; two go through the gateway, one through the inbox.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import aiohttp
import anyio
from redis.asyncio import Redis

from weighbridge import Client
from weighbridge.errors import WeighbridgeError
from weighbridge.keys import Keys
from weighbridge_worker.sandbox.request_check import MISSING_MODEL

TURNS = ("refused", *["again"] * 4, *["gateway"] * 2, "inbox", *["new"] * 12)
LOOK_BACK = 5_000
AT_ONCE = 500
TEXT = "the lorry drives onto the bridge and waits. " * 10
KEYS = Keys()


def payload(number: int, model: str = "claude-sonnet-5-5") -> dict[str, Any]:
    """Make a payload that differs from all others."""
    message = {"role": "user", "content": f"payload number {number}: {TEXT}"}
    return {"model": model, "messages": [message]}


class Asker:
    """Asks by all ways in; what fails is counted under its error's name."""

    def __init__(
        self, wb: Client, redis: "Redis", http: aiohttp.ClientSession, gateway: str
    ) -> None:
        self._wb, self._redis, self._http = wb, redis, http
        self._gateway = f"{gateway}/v1/messages/count_tokens"
        self.seen: Counter[str] = Counter()
        self._ways: dict[str, Callable[[int], Awaitable[object]]] = {
            "new": lambda number: wb.count(payload(number)),
            "again": lambda number: wb.count(payload(max(0, number - random.randrange(LOOK_BACK)))),
            "refused": lambda number: wb.count(payload(number, MISSING_MODEL)),
            "gateway": self._by_gateway,
            "inbox": self._by_inbox,
        }

    async def ask(self, number: int) -> None:
        """Ask one question, and note how it ended."""
        way = TURNS[number % len(TURNS)]
        try:
            await self._ways[way](number)
        except (WeighbridgeError, aiohttp.ClientError, TimeoutError) as error:
            self.seen[f"{way} {type(error).__name__}"] += 1
        else:
            self.seen[way] += 1

    async def _by_gateway(self, number: int) -> None:
        async with self._http.post(self._gateway, json=payload(number)) as answer:
            await answer.read()
            answer.raise_for_status()

    async def _by_inbox(self, number: int) -> None:
        own = f"soak-{number}"
        fields: dict[Any, Any] = {"payload": json.dumps(payload(number)), "id": own, "bell": "1"}
        await self._redis.xadd(KEYS.inbox, fields)
        if await self._redis.blpop([KEYS.bell(own)], timeout=60) is None:
            raise TimeoutError
        await self._redis.delete(KEYS.reply(own))


async def soak(url: str, gateway: str, rate: float, seconds: float) -> Counter[str]:
    """Ask at a steady rate, or at the pool's where that is slower."""
    places = anyio.Semaphore(AT_ONCE)
    async with (
        Client.connect(url) as wb,
        Redis.from_url(url, socket_timeout=None) as redis,
        aiohttp.ClientSession() as http,
        anyio.create_task_group() as tasks,
    ):
        asker = Asker(wb, redis, http, gateway)

        async def ask(number: int) -> None:
            await asker.ask(number)
            places.release()

        began = time.monotonic()
        for number in count():
            await anyio.sleep(max(0.0, began + number / rate - time.monotonic()))
            if time.monotonic() - began > seconds:
                break
            await places.acquire()
            tasks.start_soon(ask, number)
    return asker.seen


if __name__ == "__main__":
    seen = anyio.run(soak, sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
    print(json.dumps(seen), flush=True)
