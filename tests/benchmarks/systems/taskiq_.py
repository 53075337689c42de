import os
import sys

from benchmarks.systems.system import URL, in_chunks, tick
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

BULK = "none: gather of 64 kiq"
WAIT = "wait_result polls EXISTS (default 0.2 s)"
DEFAULT_POLL, POLL = 0.2, 0.001

broker = RedisStreamBroker(URL, queue_name="bench").with_result_backend(
    RedisAsyncResultBackend(URL, result_ex_time=600)
)


@broker.task(task_name="noop")
async def noop(payload: dict) -> int:
    tick()
    return 1


class Producer:
    def __init__(self, poll):
        self.poll = poll

    async def __aenter__(self):
        await broker.startup()
        return self

    async def __aexit__(self, *exc):
        await broker.shutdown()

    async def one(self, payload):
        return await noop.kiq(payload)

    async def bulk(self, payloads):
        return await in_chunks(self.one, payloads, 64)

    async def wait(self, task):
        return (await task.wait_result(check_interval=self.poll, timeout=30)).return_value

    async def stored(self, tasks):
        from redis.asyncio import Redis

        async with Redis.from_url(URL) as r:
            return await r.exists(*(t.task_id for t in tasks))


def run_worker(concurrency, poll):
    args = ["worker", "benchmarks.systems.taskiq_:broker", "-w", "1", "--log-level", "ERROR"]
    args += ["--max-async-tasks", str(concurrency)]
    os.execv(sys.executable, [sys.executable, "-m", "taskiq", *args])
