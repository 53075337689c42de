from arq import create_pool
from arq.connections import RedisSettings
from arq.jobs import Job
from arq.worker import Worker
from benchmarks.systems.system import URL, in_chunks, tick

BULK = "none: gather of 64 enqueue_job"
WAIT = "Job.result polls (default 0.5 s); the worker polls too (default 0.5 s)"
DEFAULT_POLL, POLL = 0.5, 0.005
SETTINGS = RedisSettings.from_dsn(URL)


async def noop(ctx, payload):
    tick()
    return 1


class Producer:
    def __init__(self, poll):
        self.poll = poll

    async def __aenter__(self):
        self.pool = await create_pool(SETTINGS)
        return self

    async def __aexit__(self, *exc):
        await self.pool.aclose()

    async def one(self, payload):
        return (await self.pool.enqueue_job("noop", payload)).job_id

    async def bulk(self, payloads):
        return await in_chunks(self.one, payloads, 64)

    async def wait(self, handle):
        return await Job(handle, self.pool).result(timeout=30, poll_delay=self.poll)

    async def stored(self, handles):
        return await self.pool.exists(*("arq:result:" + h for h in handles))


def run_worker(concurrency, poll):
    Worker(
        functions=[noop],
        redis_settings=SETTINGS,
        max_jobs=concurrency,
        poll_delay=poll,
        log_results=False,
    ).run()
