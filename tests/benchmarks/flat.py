"""What take, settle, submit and status cost the client as the queue and the cache grow.

One job a call, one call after the other, through the functions that clients and workers use; beside
each size stands how far it is from the smallest.
"""

import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
from benchmarks.machine import observed
from benchmarks.report import Column, Report, Row, parser, publish
from redis.asyncio import Redis

from weighbridge import Client
from weighbridge.admin import Admin
from weighbridge.bucket import Bucket
from weighbridge.connection import connect, connect_unrepeated
from weighbridge.exchange import Retention, Submission, TakeRequest
from weighbridge.jobs import Jobs, Verdict
from weighbridge.keys import Keys
from weighbridge.records import Counted, Job, Lane, Lease, Payload
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings
from weighbridge.submitter import Submitter
from weighbridge_worker.server import ServerProcess, find_server_binary

NAMES = ("submit", "take", "settle", "status")
COLUMNS = [Column(name, f"{name} µs", ",.0f", spread=True) for name in NAMES]
ALL = 10_000_000_000
AT_ONCE = 500


class Bench:
    """One client's hands on a growing queue."""

    def __init__(self, url: str) -> None:
        keys = Keys("weighbridge")
        scripts = Scripts(keys)
        self._redis, self._taking = connect(url), connect_unrepeated(url)
        self._jobs = Jobs(self._redis, self._taking, keys, scripts, Retention())
        self._admin = Admin(self._redis, keys, Bucket(self._redis, keys, scripts, rpm=1_000_000))
        self._submitter = Submitter(
            self._redis, keys, scripts, waiter="bench", max_queue=ALL, max_bytes=ALL
        )
        self._operation = 0
        self._number = 0

    def _job(self) -> Job:
        self._number += 1
        body = b'{"model":"m","messages":[],"n":%d}' % self._number
        digest = f"{self._number:064x}"
        return Job(digest, Payload(body, "m"), Lane.BATCH, "bench", 86_400_000_000)

    async def fill(self, jobs: int) -> None:
        """Queue jobs, so that there are as many."""
        while self._number < jobs:
            batch = [self._job() for _ in range(min(AT_ONCE, jobs - self._number))]
            await self._submitter.submit([Submission(job) for job in batch])

    async def cache(self, url: str, counts: int) -> None:
        """Write results of other jobs."""
        async with Redis.from_url(url) as redis:
            for start in range(0, counts, AT_ONCE):
                pipe = redis.pipeline(transaction=False)
                for number in range(start, start + AT_ONCE):
                    pipe.set(Keys("weighbridge").result(f"c{number:063x}"), b"{}", px=604_800_000)
                await pipe.execute()

    async def submit(self) -> None:
        """Submit one job."""
        await self._submitter.submit([Submission(self._job())])

    async def take(self) -> Sequence[Lease]:
        """Take one job with its slot."""
        self._operation += 1
        reply = await self._jobs.take(
            TakeRequest(
                worker="bench",
                operation=self._operation,
                confirmed=self._operation - 1,
                want=1,
                lease_us=600_000_000,
                interval_us=60,
                suspects=0,
                version="0",
                concurrency=1,
                turn_us=0,
            )
        )
        return reply.leases

    async def settle(self, lease: Lease) -> None:
        """End one job."""
        counted = Counted(
            digest=lease.digest, model="m", input_tokens=1, source="api", counted_at=1
        )
        await self._jobs.settle([Verdict(lease, counted)])

    async def status(self) -> None:
        """Look at the queue."""
        await self._admin.depth()

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()
        await self._taking.aclose()


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    """Time one call, in microseconds."""
    start = time.perf_counter()
    await call()
    return 1e6 * (time.perf_counter() - start)


async def costs(bench: Bench, calls: int) -> Row:
    """Return each call's median."""
    times: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(calls):
        times["submit"].append(await timed(bench.submit))
        leases: Sequence[Lease] = ()
        while not leases:
            start = time.perf_counter()
            leases = await bench.take()
            took = 1e6 * (time.perf_counter() - start)
        times["take"].append(took)
        lease = leases[0]
        times["settle"].append(await timed(lambda lease=lease: bench.settle(lease)))  # type: ignore[misc]
        times["status"].append(await timed(bench.status))
    return {name: sorted(values)[len(values) // 2] for name, values in times.items()}


async def measure(url: str, report: Report, sizes: Sequence[int], calls: int, rounds: int) -> None:
    """Fill step by step and measure at each; last with as many cached counts as jobs."""
    bench = Bench(url)
    async with Client.connect(settings=QueueSettings(redis_url=url)):
        pass
    for size in sizes:
        await bench.fill(size)
        await _rounds(bench, report, f"{size:,} queued", calls, rounds)
    await bench.cache(url, max(sizes))
    await _rounds(bench, report, f"and {max(sizes):,} cached", calls, rounds)
    await bench.close()


async def _rounds(bench: Bench, report: Report, name: str, calls: int, rounds: int) -> None:
    for _ in range(rounds):
        with observed() as machine:
            row = await costs(bench, calls)
        report.rows.append({"subject": name} | row | machine)


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    options_of = parser("cost of one call as the queue grows", rounds=5)
    options_of.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    options_of.add_argument("--calls", type=int, default=300, help="of each kind a run")
    options = options_of.parse_args(arguments)
    report = Report("Cost of one call to the client, by what is queued", COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(find_server_binary(), Path(folder))
        server.start()
        try:
            anyio.run(measure, server.url, report, options.sizes, options.calls, options.rounds)
        finally:
            server.stop()
    publish(report, options)


if __name__ == "__main__":
    main(sys.argv[1:])
