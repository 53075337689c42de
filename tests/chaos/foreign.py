"""Producers without our client: XADD, then GET; an acknowledged entry is never asked again."""

import json
from typing import Any

import anyio
from chaos.payloads import file_of, payload
from chaos.tally import Tally
from redis.asyncio import Redis
from redis.exceptions import RedisError

from weighbridge.keys import Keys
from weighbridge.records import read_result

KEYS = Keys()
LOOK_S = 0.2


class ForeignProducer:
    """One producer; what it was never answered is lost when it is told to give up.

    Its connection is of any type, because redis-py types every reply for both of its decodings.
    """

    def __init__(self, url: str, seed: int, producer: int) -> None:
        self._url = url
        self._seed = seed
        self._producer = producer
        self._waiting: dict[str, int] = {}
        self.tally = Tally()

    async def run(self, stopping: anyio.Event) -> None:
        """Write file after file, until told to stop; then wait for the last answers."""
        turn = 0
        async with Redis.from_url(self._url, socket_timeout=5) as redis:
            while not stopping.is_set():
                for number in file_of(self._seed, self._producer, turn):
                    await self._write(redis, number)
                await self._read_all(redis)
                turn += 1

    def give_up(self) -> None:
        """Take for lost what has no answer by now."""
        self.tally.lost += self._waiting.values()

    async def _write(self, redis: Any, number: int) -> None:
        fields: dict[Any, Any] = {
            "payload": json.dumps(payload(number)),
            "producer": f"foreign-{self._producer}",
        }
        self.tally.asked += 1
        while True:
            try:
                entry = await redis.xadd(KEYS.inbox, fields)
            except RedisError:
                self.tally.unreachable += 1
                await anyio.sleep(LOOK_S)
            else:
                self._waiting[entry.decode()] = number
                return

    async def _read_all(self, redis: Any) -> None:
        while self._waiting:
            await anyio.sleep(LOOK_S)
            entries = list(self._waiting)
            try:
                texts = await redis.mget([KEYS.reply(entry) for entry in entries])
            except RedisError:
                self.tally.unreachable += 1
                continue
            for entry, text in zip(entries, texts, strict=True):
                if text is not None:
                    await self._note(redis, self._waiting.pop(entry), text)

    async def _note(self, redis: Any, number: int, text: bytes) -> None:
        result = read_result(text)
        assert result is not None, f"no result: {text!r}"
        if not self.tally.note(number, result):
            self.tally.asked -= 1
            await self._write(redis, number)
