"""Measure one system in a process of its own, with that system's libraries.

python -m benchmarks.systems.measure MODULE drain|enqueue|one|latency JOBS CONCURRENCY prints one
JSON object. The server at BENCH_URL must be this run's alone.
"""

import asyncio
import importlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import uvloop
from benchmarks.systems.system import URL, make_payload

LIMIT_S = 90.0


@contextmanager
def worker(system: str, concurrency: int, poll: float, jobs: int) -> Iterator[Path]:
    """Run a worker in a process group of its own; gives the file in which it reports."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "ticks.json"
        env = os.environ | {"BENCH_JOBS": str(jobs), "BENCH_OUT": str(out)}
        env["BENCH_CONC"] = str(concurrency)
        words = ["-m", "benchmarks.systems.worker", system, str(concurrency), str(poll)]
        process = subprocess.Popen([sys.executable, *words], env=env, start_new_session=True)
        try:
            yield out
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                    process.wait(3)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue


def counters() -> dict[str, float]:
    """Read what the server has done so far."""
    with redis.Redis.from_url(URL) as server:
        stats, cpu = server.info("stats"), server.info("cpu")
    return {
        "commands": stats["total_commands_processed"],
        "reads": stats["total_reads_processed"],
        "bytes_in": stats["total_net_input_bytes"],
        "bytes_out": stats["total_net_output_bytes"],
        "server_cpu_us": 1e6 * (cpu["used_cpu_user"] + cpu["used_cpu_sys"]),
    }


def since(before: dict[str, float], jobs: int) -> dict[str, float]:
    """Return the server's work a job since an earlier look."""
    after = counters()
    return {name: (after[name] - value) / jobs for name, value in before.items()}


async def drain(module: Any, system: str, jobs: int, concurrency: int) -> dict[str, float]:
    """Queue jobs, start one worker; from its first job to the last stored result."""
    async with module.Producer(module.POLL) as producer:
        handles = await producer.bulk([make_payload(number) for number in range(jobs)])
        before = counters()
        deadline = time.monotonic() + LIMIT_S
        with worker(system, concurrency, module.POLL, jobs) as out:
            while not out.exists() or await producer.stored(handles) < jobs:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{jobs} jobs of {system} not done in {LIMIT_S} s")
                await asyncio.sleep(0.005)
            ended = time.monotonic()
            report = json.loads(out.read_text())
            used = since(before, jobs)
    cpu = {"worker_cpu_us": 1e6 * report["cpu"] / jobs}
    return {"per_s": jobs / (ended - report["first"])} | cpu | used


async def enqueue(module: Any, jobs: int, *, bulk: bool) -> dict[str, float]:
    """Enqueue with nobody at work."""
    payloads = [make_payload(number) for number in range(jobs)]
    async with module.Producer(module.POLL) as producer:
        await producer.one(make_payload(-1))  # connects
        before, cpu, start = counters(), time.process_time(), time.perf_counter()
        if bulk:
            await producer.bulk(payloads)
        else:
            for payload in payloads:
                await producer.one(payload)
        took = time.perf_counter() - start
        spent = time.process_time() - cpu
        return {"per_s": jobs / took, "client_cpu_us": 1e6 * spent / jobs} | since(before, jobs)


async def latency(module: Any, system: str, jobs: int, concurrency: int) -> dict[str, float]:
    """Submit one job at a time to an idle worker."""
    times = []
    async with module.Producer(module.POLL) as producer:

        async def count(number: int) -> None:
            if hasattr(producer, "count"):
                await producer.count(make_payload(number))
            else:
                await producer.wait(await producer.one(make_payload(number)))

        with worker(system, concurrency, module.POLL, 0):
            for number in range(20):  # waits for the worker to come up, too
                await count(-1 - number)
            before = counters()
            for number in range(jobs):
                start = time.perf_counter()
                await count(number)
                times.append((time.perf_counter() - start) * 1000)
            used = since(before, jobs)
    times.sort()
    at_99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    return {"p50_ms": statistics.median(times), "p99_ms": at_99} | used


async def measure(system: str, kind: str, jobs: int, concurrency: int) -> dict[str, float]:
    """Run one measurement."""
    module = importlib.import_module(f"benchmarks.systems.{system}")
    if kind == "drain":
        return await drain(module, system, jobs, concurrency)
    if kind == "latency":
        return await latency(module, system, jobs, concurrency)
    return await enqueue(module, jobs, bulk=kind == "bulk")


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    name, what, number, width = sys.argv[1:]
    print(json.dumps(asyncio.run(measure(name, what, int(number), int(width)))))
