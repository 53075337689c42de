"""``GET /metrics`` of a worker: complete, by convention, and told of on the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest
from metrics.exposition import Family, check_by_promtool, on_the_page, read, value
from support.pools import Answers, running_pool, until

from weighbridge import Client, CountFailed
from weighbridge.admin import Admin
from weighbridge.bucket import Bucket
from weighbridge.connection import connect_unrepeated
from weighbridge.keys import Keys
from weighbridge.scripts import Scripts
from weighbridge_worker.calls import PermanentFailure
from weighbridge_worker.exposition import namespace_families, written
from weighbridge_worker.health_server import health_server
from weighbridge_worker.metrics import WorkerMetrics
from weighbridge_worker.pool import Pool

pytestmark = pytest.mark.asyncio

GATEWAYS = {"weighbridge_queue_newest_dead_letters", "weighbridge_queue_workers"}
"""What only a gateway tells, for it takes more rights than a worker has."""

CODE = frozenset({"code"})


def payload(text: str) -> dict[str, object]:
    """Make a payload."""
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def by_word(body: bytes) -> Exception | None:
    """Refuse what says so."""
    return PermanentFailure("invalid_request", "no") if b"bad" in body else None


@asynccontextmanager
async def worked(redis_url: str) -> AsyncIterator[Pool]:
    """Give a worker that has counted two payloads and failed one."""
    async with running_pool(redis_url, Answers(error=by_word)) as pool:
        async with Client.connect(redis_url) as wb:
            await wb.count(payload("one"))
            await wb.count(payload("two"))
            with pytest.raises(CountFailed):
                await wb.count(payload("bad"))
        await until(lambda: pool.figures().total.count == 3)
        yield pool


async def text_of_a_worker(redis_url: str) -> bytes:
    """Give what such a worker tells."""
    async with worked(redis_url) as pool:
        text, _ = await WorkerMetrics(pool).expose("")
        return text


async def test_the_page_tells_of_every_metric_and_of_no_other(
    redis_url: str,
) -> None:
    text = await text_of_a_worker(redis_url)
    prefixes = ("weighbridge_build", "weighbridge_worker", "weighbridge_queue", "weighbridge_limit")
    assert read(text) == {
        name: family
        for name, family in on_the_page(*prefixes, "weighbridge_permits").items()
        if name not in GATEWAYS
    }


async def test_promtool_finds_no_fault(redis_url: str) -> None:
    text = await text_of_a_worker(redis_url)
    check_by_promtool(text)


async def test_the_numbers_are_what_happened(redis_url: str) -> None:
    text = await text_of_a_worker(redis_url)
    calls = "weighbridge_worker_calls_total"
    assert value(text, calls, outcome="counted") == 2
    assert value(text, calls, outcome="refused") == 1
    assert value(text, calls, outcome="throttled") == 0
    assert value(text, "weighbridge_worker_jobs_failed_total", code="invalid_request") == 1
    assert value(text, "weighbridge_worker_job_duration_seconds_count") == 3
    assert value(text, "weighbridge_worker_job_duration_seconds_bucket", le="+Inf") == 3
    assert value(text, "weighbridge_worker_ready") == 1
    assert value(text, "weighbridge_limit_calls_per_minute") == 30_000
    assert value(text, "weighbridge_permits_granted_total") >= 3
    assert value(text, "weighbridge_queue_dead_letters") == 1


async def test_the_depth_is_read_when_it_is_asked_for(redis_url: str) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    async with running_pool(redis_url, answers) as pool, Client.connect(redis_url) as wb:
        before, _ = await WorkerMetrics(pool).expose("")
        await wb.submit(payload("one"))
        await until(lambda: answers.bodies)
        after, _ = await WorkerMetrics(pool).expose("")
        answers.gate.set()
    for text, leased in ((before, 0), (after, 1)):
        assert value(text, "weighbridge_queue_jobs", state="leased") == leased
        assert value(text, "weighbridge_worker_leases") == leased
    assert value(after, "weighbridge_queue_payload_bytes") > 0


async def test_a_server_that_is_away_costs_only_what_it_would_have_told() -> None:
    keys = Keys()
    async with connect_unrepeated("unix:///nowhere/redis.sock") as redis:
        admin = Admin(redis, keys, Bucket(redis, keys, Scripts(keys), rpm=100))
        text, _ = written(await namespace_families(admin), "")
    assert value(text, "weighbridge_queue_reachable") == 0
    assert set(read(text)) == {"weighbridge_queue_reachable"}


async def test_it_is_served_in_the_form_that_is_asked_for(redis_url: str) -> None:
    port = await free_port()
    address = f"http://127.0.0.1:{port}/metrics"
    async with (
        worked(redis_url) as pool,
        health_server(pool.health, WorkerMetrics(pool).expose, "127.0.0.1", port),
        aiohttp.ClientSession() as session,
    ):
        async with session.get(address) as plain:
            assert plain.status == 200
            assert plain.headers["content-type"].startswith("text/plain; version=")
            assert read(await plain.read())["weighbridge_worker_jobs_failed_total"] == Family(
                "counter", CODE
            )
        wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with session.get(address, headers=wanted) as open_metrics:
            assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
            assert (await open_metrics.read()).endswith(b"# EOF\n")


async def free_port() -> int:
    """Find a port that nobody listens on."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        return int(listener.extra(anyio.abc.SocketAttribute.local_port))
