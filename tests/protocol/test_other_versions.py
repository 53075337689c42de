"""Two versions side by side, by the rules of PROTOCOL.md: fields are only ever added.

A newer version is played by records with more in them, an older one by records with less.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from support.foreign_producer import HELLO, ask, reply
from support.pools import SCOPE, Answers, running_pool, until

from weighbridge import Client, Counted, Failed, ScopeMismatch
from weighbridge.admin import Admin
from weighbridge.bucket import Bucket
from weighbridge.dead import DeadLetters
from weighbridge.keys import Keys
from weighbridge.records import Lane, read_result
from weighbridge.scripts import Scripts
from weighbridge_worker.calls import PermanentFailure

pytestmark = pytest.mark.asyncio
KEYS = Keys()
NEWER: dict[Any, Any] = {"invented_in_a_newer_version": "x"}


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    """A hand in what is stored; redis-py types every reply for both of its decodings."""
    async with Redis.from_url(redis_url) as client:
        yield client


async def count(url: str) -> Counted:
    """Count by today's client."""
    async with Client.connect(url) as wb:
        return await wb.count(HELLO)


async def test_a_newer_versions_fields_of_a_job_are_left_alone(redis_url: str, redis: Any) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    async with Client.connect(redis_url) as wb:
        ticket = await wb.submit(HELLO)
        job = KEYS.job(ticket.digest)
        await redis.hset(job, mapping=NEWER)
        joined = await wb.submit(HELLO, lane=Lane.INTERACTIVE)
        async with running_pool(redis_url, answers):
            await until(lambda: answers.bodies)
            assert await redis.hget(job, "invented_in_a_newer_version") == b"x"
            answers.gate.set()
            assert isinstance(await wb.result(ticket), Counted)
    assert joined.cache == "joined"


async def test_a_newer_versions_tombstone_is_one(redis_url: str, redis: Any) -> None:
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        counted = await wb.count(HELLO)
        await redis.hset(KEYS.job(counted.digest), mapping=NEWER)
        assert (await wb.count(HELLO)).cache == "hit"
        await redis.delete(KEYS.result(counted.digest))
        assert (await wb.count(HELLO)).input_tokens == counted.input_tokens


async def test_a_newer_versions_fields_of_a_request_are_passed_over(
    redis_url: str, redis: Any
) -> None:
    async with running_pool(redis_url, Answers()):
        entry = await ask(redis, {"payload": json.dumps(HELLO), **NEWER})
        assert (await reply(redis, entry))["status"] == "counted"


async def test_a_newer_versions_result_answers(redis_url: str, redis: Any) -> None:
    async with running_pool(redis_url, Answers()):
        counted = await count(redis_url)
        key = KEYS.result(counted.digest)
        await redis.set(key, json.dumps({**json.loads(await redis.get(key)), **NEWER}), px=60_000)
        assert (await count(redis_url)).cache == "hit"
        entry = await ask(redis, {"payload": json.dumps(HELLO)})
        assert (await reply(redis, entry))["input_tokens"] == counted.input_tokens


async def test_a_result_without_what_was_added_since_has_its_default() -> None:
    failed = read_result(b'{"status":"failed","code":"timeout","message":"too slow"}')
    assert failed == Failed(code="timeout", message="too slow", attempts=0)


async def test_workers_of_other_versions_are_seen_and_counted_with(
    redis_url: str, redis: Any
) -> None:
    now_s, now_us = await redis.time()
    now = now_s * 1_000_000 + now_us
    newer, older = {"version": "9.0", "concurrency": "4", "state": "dancing"}, {"version": "0.0"}
    for name, fields in (("newer", {**newer, **NEWER}), ("older", older)):
        await redis.zadd(KEYS.workers, {name: now})
        await redis.hset(KEYS.worker(name), mapping=fields)
        await redis.expire(KEYS.worker(name), 60)
    await redis.expire(KEYS.workers, 60)
    async with running_pool(redis_url, Answers()):
        await count(redis_url)
        scripts = Scripts(KEYS)
        state = await Admin(redis, KEYS, Bucket(redis, KEYS, scripts, rpm=100)).inspect()
    seen = {worker.worker: (worker.version, worker.state) for worker in state.workers}
    assert len(seen) == 3
    assert (seen["newer"], seen["older"]) == (("9.0", "dancing"), ("0.0", ""))


async def test_a_doorbell_rung_by_another_version_wakes_and_says_nothing(
    redis_url: str, redis: Any
) -> None:
    async with running_pool(redis_url, Answers()):
        await redis.rpush(KEYS.doorbell, json.dumps(NEWER))
        await redis.expire(KEYS.doorbell, 60)
        await until(lambda: _empty(redis))
        assert (await count(redis_url)).cache == "miss"


async def _empty(redis: Any) -> bool:
    return not await redis.llen(KEYS.doorbell)


@pytest.mark.parametrize(
    "message", ["v9 something else,,", '[{"status":"counted_twice","digest":"x"},"y"]']
)
async def test_what_another_version_tells_ends_no_wait(
    redis_url: str, redis: Any, message: str
) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    counts: list[Counted] = []

    async def wait() -> None:
        counts.append(await count(redis_url))

    async with running_pool(redis_url, answers), anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await until(lambda: answers.bodies)
        assert await redis.publish(KEYS.told, message) == 1
        answers.gate.set()
    assert counts[0].cache == "miss"


@pytest.mark.parametrize("missing", ["failures", "crest", "reach", "pause", "slow_start", "hold"])
async def test_a_bucket_of_another_version_grants(redis_url: str, redis: Any, missing: str) -> None:
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        await wb.count(HELLO)
        await redis.hset(KEYS.bucket, mapping=NEWER)
        await redis.hdel(KEYS.bucket, missing)
        assert (await wb.count(HELLO, fresh=True)).cache == "miss"
        assert await redis.hget(KEYS.bucket, "invented_in_a_newer_version") == b"x"


async def test_a_dead_letter_of_another_version_is_listed_and_replayed(
    redis_url: str, redis: Any
) -> None:
    refusals: list[Exception | None] = [PermanentFailure("invalid_request", "no")]
    answers = Answers(error=lambda _: refusals[0])
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        ticket = await wb.submit(HELLO)
        await wb.result(ticket)
        [(entry, fields)] = await redis.xrange(KEYS.dead)
        await redis.xdel(KEYS.dead, entry)
        del fields[b"betas"]  # as if it had been added since
        newest = await redis.xadd(KEYS.dead, {**fields, **NEWER})
        await redis.set(KEYS.kept(ticket.digest), newest, keepttl=True)
        refusals[0] = None
        bounds = {"max_queue": 10, "max_bytes": 10**6, "deadline_us": 60_000_000}
        letters = DeadLetters(redis, KEYS, Scripts(KEYS), **bounds)
        [letter] = await letters.find()
        assert (letter.code, letter.betas, letter.kept) == ("invalid_request", (), True)
        assert await letters.replay(letter) == "replayed"
        assert isinstance(await wb.result(ticket), Counted)


async def test_a_scope_with_more_in_it_is_ours_and_one_with_less_is_not(
    redis_url: str, redis: Any
) -> None:
    """What a count depends on is the one thing that nobody may pass over."""
    await redis.hset(KEYS.scope, mapping={**SCOPE, **NEWER})
    async with running_pool(redis_url, Answers()):
        await count(redis_url)
    await redis.hdel(KEYS.scope, "anthropic_version")
    with pytest.RaisesGroup(ScopeMismatch):
        async with running_pool(redis_url, Answers()):
            pass
