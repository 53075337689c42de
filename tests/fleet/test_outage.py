"""An endpoint that is not well: what it costs in calls, and that it costs no job."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis
from support.commands import environment, run
from support.forward_proxy import forward_proxy
from support.pools import Answers, running_pool, until
from support.worker_processes import fleet

from weighbridge import Client, Counted, Item
from weighbridge.bucket import FAILING
from weighbridge.keys import Keys
from weighbridge_worker.calls import PassingFailure, PermanentFailure
from weighbridge_worker.sandbox import Fault, Sandbox, SandboxSettings, sandbox

pytestmark = pytest.mark.asyncio
KEYS = Keys()
RPM = 1_200
JOBS = 60


def payload(number: int) -> dict[str, Any]:
    """Make one of many payloads."""
    message = {"role": "user", "content": f"payload number {number}"}
    return {"model": "claude-sonnet-5-5", "messages": [message]}


async def bucket_field(url: str, name: str) -> str:
    """Read a field of the bucket."""
    async with Redis.from_url(url, decode_responses=True) as redis:
        return str(await redis.hget(KEYS.bucket, name) or "")


@asynccontextmanager
async def two_workers(url: str, home: Path, stand_in: Sandbox) -> AsyncIterator[Client]:
    """Run a fleet, and a client of it."""
    async with fleet(url, home, 2, stand_in, rpm=RPM), Client.connect(url) as wb:
        yield wb


async def count_all(wb: Client, outcomes: list[object], *, first: int = 0) -> None:
    """Count as many payloads as there are."""
    numbers = range(first, first + JOBS)
    items = wb.count_many((payload(n) for n in numbers), in_flight=JOBS)
    outcomes.extend([item.outcome async for item in items])


@pytest.mark.parametrize("fault", [Fault.OVERLOADED, Fault.DROPPED])
async def test_an_outage_costs_few_calls_and_no_job(
    redis_url: str, tmp_path: Path, fault: Fault
) -> None:
    outcomes: list[object] = []

    async def held() -> bool:
        return await bucket_field(redis_url, "hold") == FAILING

    async with (
        sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in,
        two_workers(redis_url, tmp_path, stand_in) as wb,
        anyio.create_task_group() as tasks,
    ):
        stand_in.faults.set_probabilities({fault: 1.0})
        tasks.start_soon(count_all, wb, outcomes)
        await until(held, within_s=60)
        before = len(stand_in.ledger)
        await until(lambda: len(stand_in.ledger) >= before + 3, within_s=60)
        stand_in.faults.set_probabilities({})
        failed = sum(attempt.fault == fault for attempt in stand_in.ledger.attempts)
    # Twenty, those whose failure was not known yet, three probes: eight attempts a job were 480.
    assert 20 <= failed <= 100
    assert len(outcomes) == JOBS
    assert all(isinstance(outcome, Counted) for outcome in outcomes)
    assert await bucket_field(redis_url, "hold") == ""
    assert await bucket_field(redis_url, "generation") == "1"


async def test_where_a_third_of_the_calls_fail_the_fleet_goes_on(
    redis_url: str, tmp_path: Path
) -> None:
    outcomes: list[object] = []
    async with (
        sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in,
        two_workers(redis_url, tmp_path, stand_in) as wb,
    ):
        stand_in.faults.set_next([Fault.SERVER_ERROR, None, None] * 40)
        await count_all(wb, outcomes)
    assert len(outcomes) == JOBS
    assert all(isinstance(outcome, Counted) for outcome in outcomes)
    assert await bucket_field(redis_url, "generation") in {"", "0"}


async def test_a_refused_payload_shows_that_the_endpoint_is_well_again(redis_url: str) -> None:
    outage = [PassingFailure("http_500", "boom")]
    refusal = PermanentFailure("invalid_request", "no")
    answers = Answers(error=lambda _: outage[0] if outage else refusal)
    items: list[Item] = []

    async def count(wb: Client) -> None:
        items.extend([item async for item in wb.count_many(payload(n) for n in range(20))])

    async def held() -> bool:
        return await bucket_field(redis_url, "hold") == FAILING

    async with (
        running_pool(redis_url, answers, rpm=RPM),
        Client.connect(redis_url) as wb,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(count, wb)
        await until(held, within_s=60)
        outage.clear()
    assert {getattr(item.outcome, "code", "") for item in items} == {"invalid_request"}
    assert await bucket_field(redis_url, "generation") == "1", "the fleet held"
    assert await bucket_field(redis_url, "hold") == "", "and went on"


async def states(url: str) -> list[str]:
    """Read how each worker stands."""
    async with Redis.from_url(url, decode_responses=True) as redis:
        names = await redis.zrange(KEYS.workers, 0, -1)
        return sorted([str(await redis.hget(KEYS.worker(str(name)), "state")) for name in names])


@pytest.mark.timeout(300)
async def test_a_worker_whose_network_alone_is_broken_sits_out_and_comes_back(
    redis_url: str, tmp_path: Path
) -> None:
    outcomes: list[object] = []
    async with (
        sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in,
        forward_proxy() as proxy,
        fleet(redis_url, tmp_path, 1, stand_in, rpm=RPM),
        fleet(redis_url, tmp_path, 1, stand_in, rpm=RPM, HTTP_PROXY=proxy.url),
        Client.connect(redis_url) as wb,
    ):

        async def everybody_works() -> bool:
            await count_all(wb, outcomes, first=len(outcomes))
            return proxy.carried > 0

        await until(everybody_works, within_s=60)
        proxy.broken = True

        async def one_sits_out() -> bool:
            await count_all(wb, outcomes, first=len(outcomes))
            return await states(redis_url) == ["failing_alone", "taking"]

        await until(one_sits_out, within_s=90)
        status = partial(run, "status", env=environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url))
        said = " ".join((await anyio.to_thread.run_sync(status)).stdout.split())
        assert "its calls fail, others' do not" in said
        refused = proxy.refused
        await count_all(wb, outcomes, first=len(outcomes))
        assert proxy.refused <= refused + 10, "no more than its probes"
        proxy.broken = False

        async def both_take() -> bool:
            await count_all(wb, outcomes, first=len(outcomes))
            return await states(redis_url) == ["taking", "taking"]

        await until(both_take, within_s=90)
    assert all(isinstance(outcome, Counted) for outcome in outcomes)
    assert await bucket_field(redis_url, "generation") in {"", "0"}, "the fleet never held"
