import asyncio
import os

from benchmarks.systems.system import URL, tick
from streaq import Worker

BULK = "enqueue_many, 1000 per pipeline"
# Leaving the subscription waits up to 0.1 s for coredis' `unsubscription_timeout`; polling the
# result key ourselves shows the latency without that.
WAIT = "poll 0: Task.result, a pub/sub subscription per task; else our own GET of the result key"
DEFAULT_POLL, POLL = 0, 0.001
PREFETCH = os.environ.get("BENCH_PREFETCH")

worker = Worker(
    redis_url=URL,
    concurrency=int(os.environ.get("BENCH_CONC", "16")),
    prefetch=int(PREFETCH) if PREFETCH else None,
    anyio_kwargs={"use_uvloop": True},
)


@worker.task(silent=True)
async def noop(payload):
    tick()
    return 1


class Producer:
    def __init__(self, poll):
        self.poll = poll

    async def __aenter__(self):
        self.cm = worker.__asynccontextmanager__()
        await self.cm.__aenter__()
        return self

    async def __aexit__(self, *exc):
        await self.cm.__aexit__(*exc)

    async def one(self, payload):
        return await noop.enqueue(payload)

    async def bulk(self, payloads):
        out = []
        for i in range(0, len(payloads), 1000):
            tasks = [noop.enqueue(p) for p in payloads[i : i + 1000]]
            await worker.enqueue_many(tasks)
            out += tasks
        return out

    async def wait(self, task):
        if not self.poll:
            return (await task.result(30)).result
        while not (raw := await worker.redis.get(worker.results_key + task.id)):
            await asyncio.sleep(self.poll)
        return (await worker.deserialize(raw))["r"]

    async def stored(self, tasks):
        return await worker.redis.exists([worker.results_key + t.id for t in tasks])


def run_worker(concurrency, poll):
    worker.run_sync()
