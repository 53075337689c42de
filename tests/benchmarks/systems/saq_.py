import asyncio

from benchmarks.systems.system import URL, in_chunks, tick
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue
from saq.worker import Worker

BULK = "none: gather of 64 enqueue (library caps at 20 in flight)"
# not Job.refresh(until_complete): it reads, then subscribes, so a job that ends in between is
# missed and the call sleeps until its time-out
WAIT = "polls the job as Queue.apply does (default 0.5 s)"
DEFAULT_POLL, POLL = 0.5, 0.001


# Queue.from_url leaves redis-py >= 8 at its 100 connections; each slot of a worker blocks on one,
# so from concurrency 100 the worker raised MaxConnectionsError and left jobs in `active`
def make_queue():
    return RedisQueue(Redis.from_url(URL, max_connections=2000))


async def noop(ctx, *, payload):
    tick()
    return 1


class Producer:
    def __init__(self, poll):
        self.poll = poll

    async def __aenter__(self):
        self.queue = make_queue()
        await self.queue.connect()
        return self

    async def __aexit__(self, *exc):
        await self.queue.disconnect()

    async def one(self, payload):
        return await self.queue.enqueue("noop", payload=payload)

    async def bulk(self, payloads):
        return await in_chunks(self.one, payloads, 64)

    async def wait(self, job):
        while True:  # the loop of Queue.map, which Queue.apply calls
            [found] = await self.queue.jobs([job.key])
            if found.completed:
                return found.result
            await asyncio.sleep(self.poll)

    async def stored(self, handles):
        # a finished job leaves `incomplete` in the transaction that writes its result
        return len(handles) - await self.queue.count("incomplete")


def run_worker(concurrency, poll):
    async def main():
        await Worker(make_queue(), [noop], concurrency=concurrency).start()

    asyncio.run(main())
