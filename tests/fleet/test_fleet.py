"""Several worker processes on one server, judged by the stand-in's ledger."""

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.commands import public_manifest, public_payloads
from support.observer import observed
from support.pools import live_jobs
from support.worker_processes import fleet

from weighbridge import Client, Counted
from weighbridge_worker.sandbox import SandboxSettings, sandbox

pytestmark = pytest.mark.asyncio


def payload(number: int) -> dict[str, Any]:
    """Make one of many payloads."""
    message = {"role": "user", "content": f"payload number {number}"}
    return {"model": "claude-sonnet-5-5", "messages": [message]}


async def test_500_payloads_make_375_calls_and_a_second_run_none(
    redis_url: str, tmp_path: Path
) -> None:
    lines, manifest = public_payloads(), public_manifest()
    async with (
        sandbox(SandboxSettings(rpm=6000, depth=50)) as stand_in,
        fleet(redis_url, tmp_path, 1, stand_in, rpm=6000),
        Client.connect(redis_url) as wb,
    ):
        first = [item async for item in wb.count_many(lines, ordered=True)]
        calls = len(stand_in.ledger)
        second = [item async for item in wb.count_many(lines, ordered=True)]
        bodies = Counter(attempt.sha256 for attempt in stand_in.ledger.attempts)
    assert all(isinstance(item.outcome, Counted) for item in first)
    assert (calls, len(bodies), bodies.total()) == (375, 375, 375)
    assert {getattr(item.outcome, "cache", "") for item in second} == {"hit"}
    digests: dict[int, set[str | None]] = {}
    for row, item in zip(manifest, first, strict=True):
        digests.setdefault(row["group"], set()).add(item.digest)
    assert len(digests) == 350, "the manifest has 350 groups; in 25 of them free JSON was reordered"
    assert len({digest for group in digests.values() for digest in group}) == 375


async def test_three_workers_share_one_limit_and_every_payload_gets_its_count(
    redis_url: str, tmp_path: Path
) -> None:
    rpm, jobs = 3000, 200
    async with (
        sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in,
        observed(stand_in) as observer,
        fleet(redis_url, tmp_path, 3, stand_in, rpm=rpm),
        Client.connect(redis_url) as wb,
    ):
        items = [
            item async for item in wb.count_many((payload(n) for n in range(jobs)), in_flight=jobs)
        ]
        attempts = stand_in.ledger.attempts
    assert all(isinstance(item.outcome, Counted) for item in items)
    assert [attempt.status for attempt in attempts] == [200] * jobs
    assert len({attempt.sha256 for attempt in attempts}) == jobs
    # In any window: the rate times the window and the grace, one for the window's edge.
    assert observer.most_over(rpm / 60) <= rpm / 60 * 0.1 + 1


async def test_killing_workers_amid_1000_jobs_loses_none(redis_url: str, tmp_path: Path) -> None:
    jobs = 1000
    answered: set[int] = set()
    async with (
        sandbox(SandboxSettings(rpm=30_000, depth=500, latency_s=0.02)) as stand_in,
        fleet(
            redis_url,
            tmp_path,
            3,
            stand_in,
            rpm=20_000,
            WEIGHBRIDGE_LEASE="3",
            WEIGHBRIDGE_CALL_DEADLINE="2",
        ) as workers,
        Client.connect(redis_url) as wb,
    ):
        async for item in wb.count_many((payload(n) for n in range(jobs)), in_flight=jobs):
            assert isinstance(item.outcome, Counted)
            answered.add(item.index)
            if len(answered) == 300:
                stand_in.gate.close()
                await stand_in.gate.holds(5)
                workers[0].send_signal(signal.SIGKILL)
                stand_in.gate.open()
            if len(answered) == 600:
                workers[1].send_signal(signal.SIGKILL)
        attempts = stand_in.ledger.attempts
    assert answered == set(range(jobs))
    assert await live_jobs(redis_url) == 0
    counted = Counter(attempt.sha256 for attempt in attempts)
    # Each of the dead held at most its places; those calls were made again, and no others.
    assert jobs <= counted.total() <= jobs + 2 * 32
    assert len(counted) == jobs
