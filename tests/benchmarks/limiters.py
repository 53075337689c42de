"""Four processes share one Redis limit: what each limiter grants, and when.

Each process loops: acquire, waiting as its library tells it to, and note the time. One limiter at a
time on a server of its own, so that its commands are that limiter's. The peers are not among our
dependencies: ``make bench-limiters`` installs them.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from redis import Redis

from weighbridge_worker.server import ServerProcess, find_server_binary

PROCESSES = 4
Acquire = Callable[[], Awaitable[None]]


def rpm_of(limit: int, unit: str) -> int:
    """Return the limit a minute."""
    return limit * (1 if unit == "minute" else 60)


async def ours(stack: AsyncExitStack, url: str, limit: int, unit: str) -> Acquire:
    """Draw permits from the bucket."""
    from weighbridge.bucket import Bucket

    bucket = await stack.enter_async_context(Bucket.connect(url, rpm=rpm_of(limit, unit)))

    async def acquire() -> None:
        async with bucket.permit():
            pass

    return acquire


def limits(strategy: str) -> Callable[[AsyncExitStack, str, int, str], Awaitable[Acquire]]:
    """Ask ``limits``, which has no waiting call: sleep until it says that the window resets."""

    async def make(_: AsyncExitStack, url: str, limit: int, unit: str) -> Acquire:
        from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
        from limits.aio import strategies
        from limits.storage import storage_from_string

        storage = storage_from_string(f"async+{url}", implementation="redispy")
        limiter = getattr(strategies, strategy)(storage)
        item = (RateLimitItemPerMinute if unit == "minute" else RateLimitItemPerSecond)(limit)

        async def acquire() -> None:
            while not await limiter.hit(item, "bench"):
                stats = await limiter.get_window_stats(item, "bench")
                await asyncio.sleep(max(0.001, stats.reset_time - time.time()))

        return acquire

    return make


def throttled(algorithm: str) -> Callable[[AsyncExitStack, str, int, str], Awaitable[Acquire]]:
    """Let ``throttled-py`` wait by itself."""

    async def make(_: AsyncExitStack, url: str, limit: int, unit: str) -> Acquire:
        from throttled.asyncio import Throttled, rate_limiter, store

        quota = (rate_limiter.per_min if unit == "minute" else rate_limiter.per_sec)(limit)
        throttle = Throttled(
            using=algorithm, quota=quota, store=store.RedisStore(server=url), timeout=3600
        )

        async def acquire() -> None:
            await throttle.limit("bench")

        return acquire

    return make


async def pyrate(_: AsyncExitStack, url: str, limit: int, unit: str) -> Acquire:
    """Let ``pyrate-limiter`` wait by itself."""
    from pyrate_limiter import Duration, Limiter, Rate, RedisBucket
    from redis.asyncio import Redis as AsyncRedis

    rate = Rate(limit, Duration.MINUTE if unit == "minute" else Duration.SECOND)
    limiter = Limiter(await RedisBucket.init([rate], AsyncRedis.from_url(url), "bench"))

    async def acquire() -> None:
        await limiter.try_acquire_async("bench")

    return acquire


LIMITERS: dict[str, Callable[[AsyncExitStack, str, int, str], Awaitable[Acquire]]] = {
    "weighbridge": ours,
    "limits fixed window": limits("FixedWindowRateLimiter"),
    "limits moving window": limits("MovingWindowRateLimiter"),
    "limits sliding counter": limits("SlidingWindowCounterRateLimiter"),
    "throttled-py token bucket": throttled("token_bucket"),
    "throttled-py GCRA": throttled("gcra"),
    "pyrate-limiter": pyrate,
}


def work(
    name: str, url: str, limit: int, unit: str, start: float, seconds: float, out: Any
) -> None:
    """Acquire in one process until the time is over; put the times."""

    async def run() -> list[float]:
        times: list[float] = []
        async with AsyncExitStack() as stack:
            acquire = await LIMITERS[name](stack, url, limit, unit)
            await asyncio.sleep(max(0.0, start - time.time()))

            async def loop() -> None:
                while True:
                    try:
                        await acquire()
                    except Exception as error:  # a peer's own trouble is not the run's end
                        print(f"{name}: {type(error).__name__}", file=sys.stderr)
                        await asyncio.sleep(0.01)
                    else:
                        times.append(time.time() - start)

            with suppress(TimeoutError):
                await asyncio.wait_for(loop(), seconds)
        return [at for at in times if at <= seconds]

    out.put(asyncio.run(run()))


def most_within(times: list[float], window: float) -> int:
    """Count the most grants in any window of that length."""
    return max((i + 1 - bisect_right(times, at - window) for i, at in enumerate(times)), default=0)


def measure(name: str, url: str, limit: int, unit: str, seconds: float) -> dict[str, Any]:
    """Run one limiter at one rate."""
    per_second = rpm_of(limit, unit) / 60
    spawn = multiprocessing.get_context("spawn")
    out = spawn.Queue()
    with Redis.from_url(url) as redis:
        redis.flushall()
        start = time.time() + 3.0
        children = [
            spawn.Process(target=work, args=(name, url, limit, unit, start, seconds, out))
            for _ in range(PROCESSES)
        ]
        for child in children:
            child.start()
        time.sleep(max(0.0, start - 0.1 - time.time()))
        redis.config_resetstat()
        counts = [out.get(timeout=seconds + 60) for _ in children]
        calls = redis.info("commandstats")
    for child in children:
        child.join(10)
    times = sorted(at for mine in counts for at in mine)
    scripts = sum(calls.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))
    granted = sorted(len(mine) for mine in counts)
    return {
        "limiter": name,
        "rate": f"{limit:,}/{unit}",
        "used": len(times) / (per_second * seconds),
        "most_1s": most_within(times, 1.0),
        "most_60s": most_within(times, 60.0),
        "gap_s": max((later - earlier for earlier, later in pairwise(times)), default=0.0),
        "min_max": granted[0] / max(1, granted[-1]),
        "scripts": scripts / max(1, len(times)),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Write rows as a Markdown table."""
    head = (
        "| limiter | rate | granted of rate × time | most in 1 s | most in 60 s | longest gap |"
        " min/max between processes | scripts a permit |\n|---|---|---|---|---|---|---|---|"
    )
    lines = [
        f"| {row['limiter']} | {row['rate']} | {row['used']:.1%} | {row['most_1s']:,} |"
        f" {row['most_60s']:,} | {row['gap_s']:.2f} s | {row['min_max']:.2f} |"
        f" {row['scripts']:.2f} |"
        for row in rows
    ]
    return "\n".join([head, *lines])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rates", nargs="+", default=["3000/minute", "50/second"])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--only", choices=[*LIMITERS], nargs="+", default=[*LIMITERS])
    parser.add_argument("--json", type=Path, help="write the rows here too")
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        server = ServerProcess(find_server_binary(), Path(folder), port=port)
        server.start()
        try:
            url = f"redis://127.0.0.1:{port}/0"
            for rate in options.rates:
                limit, unit = rate.split("/")
                for name in options.only:
                    rows.append(measure(name, url, int(limit), unit, options.seconds))
                    print(json.dumps(rows[-1]), file=sys.stderr)
        finally:
            server.stop()
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def free_port() -> int:
    """Find a free port on loopback."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
