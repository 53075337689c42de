"""SIGTERM to real worker processes: nothing is lost, nothing has to wait for its lease to end."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from redis.asyncio import Redis
from support.own_server import own_server
from support.pools import live_jobs, until
from support.warm_start import RunningCommand
from support.worker_processes import fleet

from weighbridge import Client, Counted
from weighbridge.keys import Keys
from weighbridge_worker.sandbox import Sandbox, SandboxSettings, sandbox

pytestmark = pytest.mark.asyncio
KEYS = Keys()
JOBS = 120
RPM = 6000
HELD = 5


def payload(number: int) -> dict[str, Any]:
    """Make one of many payloads."""
    message = {"role": "user", "content": f"payload number {number}"}
    return {"model": "claude-sonnet-5-5", "messages": [message]}


@asynccontextmanager
async def held_calls(
    url: str, home: Path, **settings: str
) -> AsyncIterator[tuple[Sandbox, RunningCommand]]:
    """Run one worker on a full queue whose calls are held at the endpoint."""
    async with sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in:
        stand_in.gate.close()
        async with fleet(url, home, 1, stand_in, rpm=RPM, **settings) as [worker]:
            async with Client.connect(url) as wb:
                for number in range(JOBS):
                    await wb.submit(payload(number))
            with anyio.fail_after(60):
                await stand_in.gate.holds(HELD)
            yield stand_in, worker


async def ended(worker: RunningCommand, *, within_s: float) -> int:
    """Wait for a worker's end; returns its exit status."""
    return await to_thread.run_sync(lambda: worker.wait(within_s))


async def assert_given_back(url: str) -> None:
    """Assert that no lease is left to end by itself, and that no job counts a delivery."""
    async with Redis.from_url(url) as redis:
        assert await redis.zcard(KEYS.leased) == 0
        digests = [str(digest, "ascii") for digest in await _live(redis)]
        assert digests
        deliveries = {await redis.hget(KEYS.job(digest), "deliveries") for digest in digests}
        assert deliveries == {b"0"}
        assert await redis.zcard(KEYS.workers) == 0


async def _live(redis: Redis) -> list[bytes]:
    live: Any = await redis.zrange(KEYS.deadlines, 0, -1)
    return list(live)


async def finish(url: str, home: Path, stand_in: Sandbox) -> None:
    """Let another worker work the queue off, and assert that nothing was lost."""
    stand_in.gate.open()
    async with fleet(url, home, 1, stand_in, rpm=RPM), Client.connect(url) as wb:
        items = [item async for item in wb.count_many(payload(n) for n in range(JOBS))]
    assert len(items) == JOBS
    assert all(isinstance(item.outcome, Counted) for item in items)
    assert await live_jobs(url) == 0


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_drain_under_load_finishes_its_calls_and_gives_the_rest_back(
    redis_url: str, tmp_path: Path, processes: str
) -> None:
    async with held_calls(redis_url, tmp_path, WEIGHBRIDGE_PROCESSES=processes) as (
        stand_in,
        worker,
    ):
        worker.send_signal(signal.SIGTERM)
        await until(lambda: _only_calls_leased(redis_url, stand_in), within_s=20)
        stand_in.gate.open()
        assert await ended(worker, within_s=60) == 0
        await assert_given_back(redis_url)
        await finish(redis_url, tmp_path, stand_in)
        calls = Counter(attempt.sha256 for attempt in stand_in.ledger.attempts)
    assert (len(calls), calls.total()) == (JOBS, JOBS), "a job that was called twice"


async def _only_calls_leased(url: str, stand_in: Sandbox) -> bool:
    """Whether what had not begun has been given back: the drain is on."""
    async with Redis.from_url(url) as redis:
        return int(await redis.zcard(KEYS.leased)) == stand_in.gate.held


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_second_signal_gives_back_at_once_what_is_in_flight(
    redis_url: str, tmp_path: Path, processes: str
) -> None:
    async with held_calls(redis_url, tmp_path, WEIGHBRIDGE_PROCESSES=processes) as (
        stand_in,
        worker,
    ):
        worker.send_signal(signal.SIGTERM)
        await until(lambda: _only_calls_leased(redis_url, stand_in), within_s=20)
        worker.send_signal(signal.SIGINT)
        assert await ended(worker, within_s=15) == 0, "the calls in flight have 20 s"
        await assert_given_back(redis_url)
        await finish(redis_url, tmp_path, stand_in)


async def test_a_call_that_hangs_does_not_hold_the_exit_beyond_the_drain(
    redis_url: str, tmp_path: Path
) -> None:
    times = {"WEIGHBRIDGE_CALL_DEADLINE": "1", "WEIGHBRIDGE_DRAIN": "2"}
    async with held_calls(redis_url, tmp_path, **times) as (stand_in, worker):
        worker.send_signal(signal.SIGTERM)
        assert await ended(worker, within_s=15) == 0
        async with Redis.from_url(redis_url) as redis:
            assert await redis.zcard(KEYS.leased) == 0
        await finish(redis_url, tmp_path, stand_in)


async def test_a_server_that_hangs_does_not_hold_the_exit_beyond_the_grace(
    tmp_path: Path,
) -> None:
    times = {"DRAIN": "1", "CALL_DEADLINE": "0.5", "GRACE": "5", "LEASE": "3"}
    settings = {f"WEIGHBRIDGE_{name}": value for name, value in times.items()}
    with own_server(tmp_path / "server") as server:
        async with held_calls(server.url, tmp_path, **settings) as (stand_in, worker):
            async with Redis.from_url(server.url) as redis:
                pid = int((await redis.info("server"))["process_id"])
            os.kill(pid, signal.SIGSTOP)
            try:
                worker.send_signal(signal.SIGTERM)
                assert await ended(worker, within_s=11) == 0
            finally:
                os.kill(pid, signal.SIGCONT)
            await finish(server.url, tmp_path, stand_in)
