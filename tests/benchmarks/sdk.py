"""What one worker process makes of an endpoint that answers at once, beside the SDK alone.

Both send the same 2 KB bodies over the SDK's fastest path: stored bytes, the aiohttp transport. The
bare loop only calls; the worker takes, calls and settles.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
from benchmarks._processes import COMMAND
from benchmarks.machine import observed, process_cpu_s, wait_for_quiet
from benchmarks.report import Column, Report, Row, parser, publish
from benchmarks.systems.system import make_payload
from redis import Redis

from weighbridge.settings import QueueSettings
from weighbridge_worker.server import ServerProcess, find_server_binary
from weighbridge_worker.settings import WorkerSettings

COLUMNS = [
    Column("per_s", "calls a second", spread=True),
    Column("cpu_us", "CPU µs a call"),
    Column("reads", "the queue's socket reads a job", ",.2f"),
]
LIVE = "{weighbridge}:1:deadlines"


@contextmanager
def endpoint() -> Iterator[str]:
    """Run the endpoint as a process of its own; gives its address."""
    words = [sys.executable, "-m", "benchmarks.instant_endpoint"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def call_only(base_url: str, calls: int, concurrency: int) -> Row:
    """Call through the SDK and nothing else."""
    from weighbridge_worker.counter import anthropic_counter

    bodies = [json.dumps(make_payload(number)).encode() for number in range(calls)]
    async with anthropic_counter(WorkerSettings(base_url=base_url, api_key="bench")) as counter:
        await counter.warm(min(4, concurrency))

        async def loop() -> None:
            while bodies:
                await counter.count(bodies.pop(), ())

        start, cpu = time.perf_counter(), time.process_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(concurrency):
                tasks.start_soon(loop)
        took, spent = time.perf_counter() - start, time.process_time() - cpu
    return {"per_s": calls / took, "cpu_us": 1e6 * spent / calls}


async def queue(url: str, jobs: int) -> None:
    """Queue jobs."""
    from weighbridge import Client

    settings = QueueSettings(redis_url=url, max_queue=10 * jobs)
    async with Client.connect(settings=settings) as wb, anyio.create_task_group() as tasks:
        for number in range(jobs):
            tasks.start_soon(wb.submit, make_payload(number))


def work(base_url: str, jobs: int, concurrency: int, workers: int, rpm: int) -> Row:
    """Let worker processes end the same number of jobs."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = ServerProcess(find_server_binary(), Path(folder))
        server.start()
        stack.callback(server.stop)
        redis = stack.enter_context(Redis.from_url(server.url))
        anyio.run(queue, server.url, jobs)
        env = os.environ | {
            "HOME": folder,
            "WEIGHBRIDGE_REDIS_URL": server.url,
            "WEIGHBRIDGE_RPM": str(rpm),
            "WEIGHBRIDGE_CONCURRENCY": str(concurrency),
            "ANTHROPIC_BASE_URL": base_url,
            "ANTHROPIC_API_KEY": "bench",
        }
        processes = []
        for _ in range(workers):
            command = [*COMMAND, "worker"]
            process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process.pid)
        return _watch(redis, processes, jobs)


def _watch(redis: "Redis", processes: list[int], jobs: int) -> Row:
    """From a tenth of the jobs on, when every process has come up and is warm."""
    while (first := redis.zcard(LIVE)) > 0.9 * jobs:
        time.sleep(0.002)
    start, cpu = time.perf_counter(), sum(map(process_cpu_s, processes))
    reads = redis.info("stats")["total_reads_processed"]
    while (left := redis.zcard(LIVE)) > 0.02 * jobs:
        time.sleep(0.005)
    took, done = time.perf_counter() - start, first - left
    spent = sum(map(process_cpu_s, processes)) - cpu
    reads = redis.info("stats")["total_reads_processed"] - reads
    return {"per_s": done / took, "cpu_us": 1e6 * spent / done, "reads": reads / done}


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    options_of = parser("one worker process beside the SDK alone")
    options_of.add_argument("--jobs", type=int, default=20_000)
    options_of.add_argument("--concurrency", type=int, default=64)
    options_of.add_argument("--rpm", type=int, default=1_000_000)
    options_of.add_argument("--workers", type=int, nargs="+", default=[1])
    options = options_of.parse_args(arguments)
    report = Report(f"An endpoint that answers at once: {options.jobs:,} jobs of 2 KB", COLUMNS)
    with endpoint() as base_url:
        for _ in range(options.rounds):
            wait_for_quiet()
            with observed() as machine:
                row = anyio.run(
                    call_only,
                    base_url,
                    options.jobs,
                    options.concurrency,
                    backend_options={"use_uvloop": True},
                )
            report.rows.append({"subject": "the SDK alone"} | row | machine)
            print(json.dumps(report.rows[-1]), file=sys.stderr)
            for workers in options.workers:
                wait_for_quiet()
                with observed() as machine:
                    row = work(base_url, options.jobs, options.concurrency, workers, options.rpm)
                name = f"{workers} worker process" + ("es" if workers > 1 else "")
                report.rows.append({"subject": name} | row | machine)
                print(json.dumps(report.rows[-1]), file=sys.stderr)
    publish(report, options)


if __name__ == "__main__":
    main(sys.argv[1:])
