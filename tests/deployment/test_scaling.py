"""The ScaledObject over the real sets: up on a backlog, there while jobs are leased, then down."""

import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import redis
import yaml
from deployment.autoscaler import ScaledObject, read_scaled_object
from redis.exceptions import NoPermissionError
from support.acl import as_user, users_file
from support.own_server import own_server
from support.queue_under_test import QueueUnderTest, queue_on_server

from weighbridge.keys import Keys
from weighbridge.records import Lane

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
MANIFEST = KUBERNETES / "overlays" / "keda" / "scaled-object.yaml"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Yield a client of the server under test."""
    with redis.Redis.from_url(redis_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def queue(redis_url: str) -> AsyncIterator[QueueUnderTest]:
    """Yield an empty queue, in the namespace of the contract tests."""
    async with queue_on_server(redis_url) as opened:
        yield opened


@pytest.fixture
def scaled(queue: QueueUnderTest) -> ScaledObject:
    """Read the manifest, its keys moved to the queue's namespace."""
    read = read_scaled_object(MANIFEST)
    ours = queue.keys.ready(Lane.BATCH).split(":")[0]
    moved = [replace(each, key=each.key.replace("{weighbridge}", ours)) for each in read.triggers]
    return replace(read, triggers=tuple(moved))


def test_the_triggers_name_every_place_where_a_live_job_or_an_entry_can_be() -> None:
    keys = Keys()
    places = {keys.ready(lane) for lane in Lane} | {keys.leased, keys.later, keys.inbox}
    assert {trigger.key for trigger in read_scaled_object(MANIFEST).triggers} == places


@pytest.mark.asyncio
async def test_an_empty_queue_wants_the_floor(
    queue: QueueUnderTest, client: redis.Redis, scaled: ScaledObject
) -> None:
    assert scaled.wanted(client) == scaled.floor
    assert replace(scaled, floor=0).wanted(client) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(("jobs", "workers"), [(1, 1), (500, 1), (501, 2), (1001, 3), (5000, 3)])
async def test_a_backlog_wants_workers_and_never_more_than_the_limit_feeds(
    queue: QueueUnderTest, client: redis.Redis, scaled: ScaledObject, jobs: int, workers: int
) -> None:
    await queue.submit(*(f"job {number}" for number in range(jobs)))
    assert scaled.wanted(client) == workers <= scaled.most


@pytest.mark.asyncio
async def test_interactive_work_wants_workers_sooner(
    queue: QueueUnderTest, client: redis.Redis, scaled: ScaledObject
) -> None:
    await queue.submit(*(f"job {number}" for number in range(101)), lane=Lane.INTERACTIVE)
    assert scaled.wanted(client) == 3


@pytest.mark.asyncio
async def test_workers_stay_while_jobs_are_leased_and_go_when_they_are_settled(
    queue: QueueUnderTest, client: redis.Redis, scaled: ScaledObject
) -> None:
    from_zero = replace(scaled, floor=0)
    await queue.submit("job")
    lease = await queue.take_one()
    assert client.zcard(queue.keys.ready(Lane.BATCH)) == 0
    assert from_zero.wanted(client) == 1
    await queue.settle(lease)
    assert from_zero.wanted(client) == 0


@pytest.mark.asyncio
async def test_a_job_that_waits_for_its_retry_keeps_one_worker(
    queue: QueueUnderTest, client: redis.Redis, scaled: ScaledObject
) -> None:
    await queue.submit("job")
    await queue.jobs.retry(await queue.take_one(), 60)
    assert replace(scaled, floor=0).wanted(client) == 1


@pytest.mark.asyncio
async def test_an_entry_in_the_inbox_wakes_the_first_worker(
    queue: QueueUnderTest, client: redis.Redis, scaled: ScaledObject
) -> None:
    client.xadd(queue.keys.inbox, {"payload": "{}"})
    assert replace(scaled, floor=0).wanted(client) == 1


def test_the_bound_is_what_the_limit_feeds_and_one_to_spare() -> None:
    base = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())
    literals = base["configMapGenerator"][0]["literals"]
    settings = dict(literal.split("=", 1) for literal in literals)
    in_flight = int(settings["WEIGHBRIDGE_RPM"]) / 60 * 0.5
    feeds = math.ceil(in_flight / int(settings["WEIGHBRIDGE_CONCURRENCY"]))
    assert read_scaled_object(MANIFEST).most == feeds + 1


def test_the_scaler_may_count_and_nothing_else(tmp_path: Path) -> None:
    with (
        own_server(tmp_path / "acl", f"--aclfile {users_file(tmp_path)}") as server,
        redis.Redis.from_url(as_user(server.url, "scaler")) as client,
    ):
        assert read_scaled_object(MANIFEST).wanted(client) == 1
        with pytest.raises(NoPermissionError):
            client.zadd(Keys().leased, {"a": 1})
        with pytest.raises(NoPermissionError):
            client.xlen(Keys().dead)
