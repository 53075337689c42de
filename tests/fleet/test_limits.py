"""The shared limit under disturbance, judged by the stand-in's ledger."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from support.observer import observed
from support.pools import running_pool, until
from support.worker_processes import fleet

from weighbridge import Client, Counted
from weighbridge.keys import Keys
from weighbridge_worker.counter import anthropic_counter
from weighbridge_worker.sandbox import Fault, Sandbox, SandboxSettings, sandbox
from weighbridge_worker.settings import WorkerSettings

pytestmark = pytest.mark.asyncio
KEYS = Keys()
GRACE_S = 0.1
"""Half of ten slots at 3,000 a minute."""


def payload(number: int) -> dict[str, Any]:
    """Make one of many payloads."""
    message = {"role": "user", "content": f"payload number {number}"}
    return {"model": "claude-sonnet-5-5", "messages": [message]}


@asynccontextmanager
async def counting(
    url: str, stand_in: Sandbox, *, key: str = "test", **settings: Any
) -> AsyncIterator[Client]:
    """Run a worker of this process against a stand-in, and a client of it."""
    worker = WorkerSettings(base_url=stand_in.base_url, api_key=key)
    async with (
        anthropic_counter(worker) as counter,
        running_pool(url, counter, **settings),
        Client.connect(url) as wb,
    ):
        yield wb


async def bucket_field(url: str, name: str) -> int:
    """Read a number from the bucket."""
    async with Redis.from_url(url) as redis:
        return int(await redis.hget(KEYS.bucket, name) or 0)


async def test_a_storm_of_429s_is_one_penalty_and_costs_no_attempt(redis_url: str) -> None:
    settings = SandboxSettings(rpm=60_000, depth=1000, retry_after="2")
    async with sandbox(settings) as stand_in:
        stand_in.faults.set_next([Fault.RATE_LIMITED] * 12)
        stand_in.gate.close()
        async with counting(redis_url, stand_in, rpm=6000, max_attempts=1) as wb:
            tickets = [await wb.submit(payload(number)) for number in range(30)]
            await stand_in.gate.holds(12)
            stand_in.gate.open()
            results = [await wb.result(ticket) for ticket in tickets]
        attempts = stand_in.ledger.attempts
    assert all(isinstance(result, Counted) for result in results)
    assert await bucket_field(redis_url, "generation") == 1
    assert sum(attempt.status == 429 for attempt in attempts) == 12
    # What was slotted when the first 429 was known still goes, for a tenth of a second; then none.
    pause, after = max((b.at - a.at, b.index) for a, b in pairwise(attempts))
    assert pause >= 2.0 - 0.1 - 0.1
    assert {attempt.status for attempt in attempts[after:]} == {200}


async def test_a_spend_limit_holds_the_fleet_probes_and_resumes_by_itself(redis_url: str) -> None:
    async with sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in:
        stand_in.faults.set_next([Fault.SPEND_LIMITED] * 2)
        async with counting(redis_url, stand_in, rpm=60, max_attempts=1) as wb:
            counted = await wb.count(payload(0), timeout_s=30)
        statuses = [attempt.status for attempt in stand_in.ledger.attempts]
    assert counted.input_tokens > 0
    assert statuses == [429, 429, 200], "one probe at a time, and no attempt of the job burned"
    async with Redis.from_url(redis_url) as redis:
        assert await redis.hget(KEYS.bucket, "hold") == b""


async def test_a_refused_key_bars_its_worker_and_not_the_fleet(redis_url: str) -> None:
    async with (
        sandbox(SandboxSettings(rpm=6000, api_key="right")) as stand_in,
        counting(redis_url, stand_in, key="wrong", rpm=6000) as wb,
    ):
        ticket = await wb.submit(payload(0))
        await until(lambda: len(stand_in.ledger) > 0)
        async with counting(redis_url, stand_in, key="right", rpm=6000):
            assert isinstance(await wb.result(ticket, timeout_s=30), Counted)
            items = [item async for item in wb.count_many(payload(n) for n in range(20))]
        statuses = [attempt.status for attempt in stand_in.ledger.attempts]
    assert all(isinstance(item.outcome, Counted) for item in items)
    # A handful of calls may have been on their way at the first refusal; then the worker is barred.
    assert statuses.count(401) <= 3


async def test_a_lower_limit_in_the_headers_is_adopted(redis_url: str) -> None:
    async def adopted() -> bool:
        return await bucket_field(redis_url, "seen_interval") == 50_000

    async with (
        sandbox(SandboxSettings(rpm=1200, depth=100)) as stand_in,
        counting(redis_url, stand_in, rpm=6000) as wb,
    ):
        await wb.count(payload(0))
        await until(adopted)


async def test_a_fleet_that_was_idle_does_not_burst(redis_url: str) -> None:
    async def idle_for_a_second() -> bool:
        async with Redis.from_url(redis_url) as redis:
            now_s, _ = await redis.time()
        return await bucket_field(redis_url, "tat") < (now_s - 1) * 1_000_000

    async with (
        sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in,
        observed(stand_in) as observer,
        counting(redis_url, stand_in, rpm=3000) as wb,
    ):
        await wb.count(payload(-1))
        await until(idle_for_a_second)
        _ = [item async for item in wb.count_many(payload(n) for n in range(100))]
    assert observer.most_over(50) <= 50 * GRACE_S + 1


@pytest.mark.parametrize("disturbance", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_stopped_or_killed_worker_causes_no_burst_and_no_loss(
    redis_url: str, tmp_path: Path, disturbance: signal.Signals
) -> None:
    rpm, jobs = 3000, 320
    async with (
        sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in,
        observed(stand_in) as observer,
        fleet(
            redis_url,
            tmp_path,
            2,
            stand_in,
            rpm=rpm,
            WEIGHBRIDGE_LEASE="3",
            WEIGHBRIDGE_CALL_DEADLINE="2",
        ) as workers,
        Client.connect(redis_url) as wb,
    ):
        done = 0
        async for item in wb.count_many((payload(n) for n in range(jobs)), in_flight=jobs):
            assert isinstance(item.outcome, Counted)
            done += 1
            if done == 50:
                workers[0].send_signal(disturbance)
            if done == 250 and disturbance is signal.SIGSTOP:  # after its leases
                workers[0].send_signal(signal.SIGCONT)
    assert done == jobs
    assert observer.most_over(rpm / 60) <= rpm / 60 * GRACE_S + 1
