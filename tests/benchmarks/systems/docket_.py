import asyncio
import os
from datetime import timedelta

from benchmarks.systems.system import URL, tick
from docket import Docket, Worker

BULK = "add_many, 1000 per pipeline"
WAIT = "Execution.get_result: a pub/sub subscription per task"
DEFAULT_POLL = POLL = 0
# A worker whose slots are all taken sleeps `minimum_check_interval` (default 250 ms): by default it
# runs at most 4 x concurrency jobs/s, whatever the jobs cost. BENCH_CHECK_MS=250 measures that.
CHECK = timedelta(milliseconds=float(os.environ.get("BENCH_CHECK_MS", "2")))


async def noop(payload):
    tick()
    return 1


def make():
    # redis-py >= 8 stops at 100 connections otherwise; at concurrency 256 the worker then wedged
    return Docket(name="bench", url=URL + "?max_connections=2000")


class Producer:
    def __init__(self, poll):
        pass

    async def __aenter__(self):
        self.docket = make()
        await self.docket.__aenter__()
        self.docket.register(noop)
        await self.docket._ensure_stream_and_group()
        return self

    async def __aexit__(self, *exc):
        await self.docket.__aexit__(*exc)

    async def one(self, payload):
        return await self.docket.add(noop)(payload)

    async def bulk(self, payloads):
        return await self.docket.add_many([self.docket.call(noop)(p) for p in payloads])

    async def wait(self, execution):
        return await execution.get_result(timeout=timedelta(seconds=30))

    async def stored(self, executions):
        # the finishing script deletes the stream entry after the result is stored
        async with self.docket.redis() as r:
            return len(executions) - await r.xlen(self.docket.stream_key)


def run_worker(concurrency, poll):
    async def main():
        async with make() as docket:
            docket.register(noop)
            async with Worker(
                docket, concurrency=concurrency, minimum_check_interval=CHECK
            ) as worker:
                await worker.run_forever()

    asyncio.run(main())
