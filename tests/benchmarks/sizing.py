"""What a job, a payload and a cached count take of the server: its memory, and commands.

Memory is the growth of ``used_memory`` over many of each; commands are what the server was sent by
clients and workers for a job, those within scripts left out.
"""

import argparse
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from redis import Redis
from support.pools import Answers, live_jobs, running_pool, until
from support.sent_commands import sent_commands

from weighbridge import Client
from weighbridge_worker.server import ServerProcess, find_server_binary

TEXT = {"small": 100, "2 KB": 2_000, "20 KB": 20_000}
"""Characters of the one message in a payload."""


@contextmanager
def server() -> Any:
    """Run a server without persistence."""
    with tempfile.TemporaryDirectory() as folder:
        process = ServerProcess(find_server_binary(), Path(folder))
        process.start()
        try:
            yield process.url
        finally:
            process.stop()


async def payloads(number: int, size: int) -> AsyncIterator[dict[str, Any]]:
    """Yield payloads that differ."""
    for index in range(number):
        text = f"{index:08d}" + "x" * (size - 8)
        yield {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": text}]}


def memory(redis: Redis) -> int:
    """Read what the server uses of memory for data."""
    return int(redis.info("memory")["used_memory"])


async def fill(url: str, number: int, size: int) -> None:
    """Queue jobs that nobody waits for."""
    async with Client.connect(url) as wb, anyio.create_task_group() as tasks:
        bound = anyio.CapacityLimiter(256)

        async def submit(payload: dict[str, Any]) -> None:
            async with bound:
                await wb.submit(payload)

        async for payload in payloads(number, size):
            tasks.start_soon(submit, payload)


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[None]:
    """Run a worker with a counter that answers at once, at a rate that bounds nothing."""
    async with running_pool(url, Answers(), rpm=1_000_000, concurrency=64):
        yield


async def drain(url: str) -> None:
    """Count what is queued."""

    async def empty() -> bool:
        return await live_jobs(url) == 0

    async with worker(url):
        await until(empty, within_s=600)


async def count_all(url: str, number: int, size: int) -> None:
    """Count by a client that waits, through a worker."""
    async with worker(url):
        await count_again(url, number, size)


async def count_again(url: str, number: int, size: int) -> None:
    """Count by a client alone."""
    async with Client.connect(url) as wb:
        async for _ in wb.count_many(payloads(number, size)):
            pass


def measure_memory(number: int) -> None:
    """Print bytes a queued job and a cached count, by the size of the payload."""
    print(f"Bytes of server memory, mean of {number:,}:")
    print("| payload | its text | a queued job | of which beside the text | a cached count |")
    print("|---|---|---|---|---|")
    for name, size in TEXT.items():
        with server() as url, Redis.from_url(url) as redis:
            before = memory(redis)
            anyio.run(fill, url, number, size)
            queued = (memory(redis) - before) / number
            anyio.run(drain, url)
            for key in redis.scan_iter("{weighbridge}:1:job:*", count=1000):
                redis.delete(key)  # tombstones, which end by themselves within a minute
            cached = (memory(redis) - before) / number
        print(f"| {name} | {size:,} | {queued:,.0f} | {queued - size:,.0f} | {cached:,.0f} |")


def measure_commands(number: int) -> None:
    """Print commands a job, as clients send them."""
    with server() as url:
        for name, commands in [
            ("submit, one by one", partial(fill, url, number, 100)),
            ("take and settle", partial(drain, url)),
            ("cached count", partial(count_again, url, number, 100)),
        ]:
            with sent_commands(url) as sent:
                anyio.run(commands)
            named = ", ".join(f"{count / number:.2f} {word}" for word, count in sent.most_common(5))
            print(f"| {name} | {sent.total() / number:.2f} | {named} |")


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="memory and commands a job")
    parser.add_argument("--jobs", type=int, default=20_000)
    options = parser.parse_args(arguments)
    measure_memory(options.jobs)
    print("\n| commands | a job | the most frequent |\n|---|---|---|")
    measure_commands(options.jobs)


if __name__ == "__main__":
    main(sys.argv[1:])
