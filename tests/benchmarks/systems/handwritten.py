"""The floor of work a Python worker can do: one stream, batched reads, one pipeline per batch."""

import asyncio
import os
import uuid
from contextlib import suppress

import orjson
from benchmarks.systems.system import URL, tick
from redis.asyncio import Redis
from redis.exceptions import ResponseError

BULK = "XADD, 500 per pipeline"
WAIT = "PUBLISH to one channel per producer, one standing subscription"
DEFAULT_POLL = POLL = 0
COUNT = int(os.environ.get("BENCH_COUNT", "100"))
XDEL = os.environ.get("BENCH_XDEL", "1") == "1"
PARSE = os.environ.get("BENCH_PARSE", "1") == "1"  # orjson.loads of each payload, as a job would
REPLY = os.environ.get("BENCH_REPLY", "1") == "1"  # PUBLISH the result too
TASKS = os.environ.get("BENCH_TASKS", "0") == "1"  # each job an asyncio task that yields once
STREAM, GROUP = "hw:stream", "g"


class Producer:
    def __init__(self, poll):
        self.channel = "hw:reply:" + uuid.uuid4().hex
        self.waiting = {}

    async def __aenter__(self):
        self.r = Redis.from_url(URL)
        with suppress(ResponseError):
            await self.r.xgroup_create(STREAM, GROUP, "0", mkstream=True)
        self.pubsub = self.r.pubsub()
        await self.pubsub.subscribe(self.channel)
        self.task = asyncio.create_task(self.listen())
        return self

    async def __aexit__(self, *exc):
        self.task.cancel()
        await self.pubsub.aclose()
        await self.r.aclose()

    async def listen(self):
        async for m in self.pubsub.listen():
            if m["type"] == "message":
                job, _, value = m["data"].partition(b":")
                if fut := self.waiting.pop(job.decode(), None):
                    fut.set_result(int(value))

    def fields(self, payload):
        job = uuid.uuid4().hex
        return job, {"i": job, "c": self.channel, "p": orjson.dumps(payload)}

    async def one(self, payload):
        job, fields = self.fields(payload)
        fut = self.waiting[job] = asyncio.get_running_loop().create_future()
        await self.r.xadd(STREAM, fields)
        return job, fut

    async def bulk(self, payloads):
        out = []
        for i in range(0, len(payloads), 500):
            pipe = self.r.pipeline(transaction=False)
            for p in payloads[i : i + 500]:
                job, fields = self.fields(p)
                out.append((job, None))
                pipe.xadd(STREAM, fields)
            await pipe.execute()
        return out

    async def wait(self, handle):
        return await handle[1]

    async def stored(self, handles):
        return await self.r.exists(*("hw:res:" + h[0] for h in handles))


async def job_task():
    await asyncio.sleep(0)


async def run_tasks(n):
    await asyncio.gather(*(asyncio.create_task(job_task()) for _ in range(n)))


async def work():
    r = Redis.from_url(URL)
    with suppress(ResponseError):
        await r.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    while True:
        got = await r.xreadgroup(GROUP, "w", {STREAM: ">"}, count=COUNT, block=2000)
        if not got:
            continue
        if TASKS:
            await run_tasks(len(got[0][1]))
        pipe = r.pipeline(transaction=False)
        ids = []
        for entry_id, f in got[0][1]:
            if PARSE:
                orjson.loads(f[b"p"])
            tick()
            ids.append(entry_id)
            job = f[b"i"].decode()
            pipe.set("hw:res:" + job, b"1", ex=600)
            if REPLY:
                pipe.publish(f[b"c"], job + ":1")
        pipe.xack(STREAM, GROUP, *ids)
        if XDEL:
            pipe.xdel(STREAM, *ids)
        await pipe.execute()


def run_worker(concurrency, poll):
    asyncio.run(work())
