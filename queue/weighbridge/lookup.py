"""Looks into the cache, gathered: all that is asked during one round trip goes into the next.

A service that answers thousands of callers from the cache would else make a command for each, which
costs more than everything else that such an answer takes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import anyio
from redis.exceptions import RedisError

from weighbridge.connection import queue_error
from weighbridge.errors import QueueUnreachable
from weighbridge.records import Result

LOOK_AT_ONCE = 256
"""Keys a round trip reads at most; nobody waits for a full one."""

LOOK_S = 10.0
"""How long a round trip may take, its repetitions included."""

Read = Callable[[Sequence[str]], Awaitable[list[Result | None]]]


class Lookup:
    """Gathers the looks of one client.

    Args:
        read: reads what is cached for digests, in their order.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._asked: list[tuple[str, asyncio.Future[Result | None]]] = []
        self._called = anyio.Event()

    async def look(self, digest: str) -> Result | None:
        """Give what is cached for a digest.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        answer: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        self._asked.append((digest, answer))
        self._called.set()
        return await answer

    async def run(self) -> None:
        """Answer until cancelled."""
        asked: list[tuple[str, asyncio.Future[Result | None]]] = []
        try:
            while True:
                await self._called.wait()
                asked, self._asked = self._asked[:LOOK_AT_ONCE], self._asked[LOOK_AT_ONCE:]
                if not self._asked:
                    self._called = anyio.Event()
                await self._answer(asked)
        finally:
            for _, answer in (*asked, *self._asked):
                answer.cancel()

    async def _answer(self, asked: Sequence[tuple[str, asyncio.Future[Result | None]]]) -> None:
        results: list[Result | None] = []
        unreachable = ""
        try:
            with anyio.fail_after(LOOK_S):
                results = await self._read([digest for digest, _ in asked])
        except RedisError as error:
            unreachable = str(queue_error(error))
        except TimeoutError:
            unreachable = f"the Redis server does not answer within {LOOK_S:g} s"
        for index, (_, answer) in enumerate(asked):
            if answer.done():  # whoever asked has left
                continue
            if unreachable:
                answer.set_exception(QueueUnreachable(unreachable))
            else:
                answer.set_result(results[index])
