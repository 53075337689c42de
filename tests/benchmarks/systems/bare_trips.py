"""A bare redis-py loop that makes the round trips of one of our jobs, and nothing else.

Producer: one script that looks for a result, writes the payload and rings; of many it looks before.
Worker: BLPOP, one script that takes and gives the payload, one that writes the result and tells it.
"""

import asyncio
import json
import uuid
from collections.abc import Sequence
from typing import Any, Self

from benchmarks.systems.system import URL, tick
from redis.asyncio import Redis

POLL = DEFAULT_POLL = 0.0
BULK = "MGET, then a script, 128 a round trip"
BATCH = 128
SUBMIT = """
if ARGV[1] == '1' then redis.call('GET', 'bare:result:' .. ARGV[2]) end
for i = 2, #ARGV, 2 do
  redis.call('SET', 'bare:payload:' .. ARGV[i], ARGV[i + 1], 'PX', 600000)
  redis.call('RPUSH', KEYS[1], ARGV[i])
end
return 1
"""
TAKE = "return redis.call('GET', KEYS[1])"
SETTLE = """
redis.call('SET', KEYS[1], '1', 'PX', 600000)
redis.call('UNLINK', KEYS[2])
return redis.call('PUBLISH', KEYS[3], ARGV[1])
"""


class Producer:
    """Submits by one round trip, and is told the result."""

    def __init__(self, poll: float) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def __aenter__(self) -> Self:
        """Subscribe."""
        self._redis = Redis.from_url(URL)
        self._submit = await self._redis.script_load(SUBMIT)
        self._pubsub = Redis.from_url(URL).pubsub(ignore_subscribe_messages=True)
        await self._pubsub.subscribe("bare:done")
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Leave."""
        self._task.cancel()
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]
        await self._redis.aclose()

    async def _listen(self) -> None:
        while True:
            message = await self._pubsub.get_message(timeout=5.0)
            done = message["data"].decode() if message else ""
            if waiting := self._waiting.pop(done, None):
                waiting.set_result(None)

    async def one(self, payload: dict[str, Any]) -> str:
        """Look, write and ring."""
        job = uuid.uuid4().hex
        self._waiting[job] = asyncio.get_running_loop().create_future()
        await self._redis.evalsha(self._submit, 1, "bare:bell", "1", job, json.dumps(payload))
        return job

    async def bulk(self, payloads: Sequence[dict[str, Any]]) -> list[str]:
        """Look, write and ring in batches."""
        jobs = [uuid.uuid4().hex for _ in payloads]
        for start in range(0, len(jobs), BATCH):
            batch = jobs[start : start + BATCH]
            await self._redis.mget([f"bare:result:{job}" for job in batch])
            words = ["0"]
            for job, payload in zip(batch, payloads[start : start + BATCH], strict=True):
                words += [job, json.dumps(payload)]
            await self._redis.evalsha(self._submit, 1, "bare:bell", *words)
        return jobs

    async def wait(self, job: str) -> None:
        """Wait to be told."""
        if waiting := self._waiting.get(job):
            await waiting

    async def count(self, payload: dict[str, Any]) -> Any:
        """Submit and wait."""
        return await self.wait(await self.one(payload))

    async def stored(self, jobs: list[str]) -> int:
        """Count results."""
        return int(await self._redis.exists(*(f"bare:result:{job}" for job in jobs)))


async def _work() -> None:
    redis, blocking = Redis.from_url(URL), Redis.from_url(URL)
    take, settle = redis.register_script(TAKE), redis.register_script(SETTLE)
    while True:
        rung = await blocking.blpop(["bare:bell"], timeout=5)
        if not rung:
            continue
        job = rung[1].decode()  # type: ignore[union-attr]
        await take(keys=[f"bare:payload:{job}"])
        tick()
        await settle(keys=[f"bare:result:{job}", f"bare:payload:{job}", "bare:done"], args=[job])


def run_worker(concurrency: int, poll: float) -> None:
    """Work until killed."""
    asyncio.run(_work())
