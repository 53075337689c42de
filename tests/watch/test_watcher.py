"""Looks at a real pool: what workers did is seen, and what cannot be seen is said."""

import pytest
from support.dead_letters import bury, dead
from support.pools import Answers, running_pool, until
from support.queue_under_test import queue_on_server

from weighbridge import Client, CountFailed
from weighbridge.admin import Admin
from weighbridge.bucket import Bucket
from weighbridge.connection import RedisClient, connect
from weighbridge.keys import Keys
from weighbridge.letters import Selection
from weighbridge.records import CacheUse
from weighbridge.scripts import Scripts
from weighbridge_worker.calls import PermanentFailure
from weighbridge_worker.watch.snapshot import Pool
from weighbridge_worker.watch.watcher import Watcher

pytestmark = pytest.mark.asyncio


def admin(redis: RedisClient) -> Admin:
    """Open a look at the namespace."""
    keys = Keys()
    return Admin(redis, keys, Bucket(redis, keys, Scripts(keys), rpm=100))


async def looked(watcher: Watcher) -> Pool:
    """Look at a pool that is there."""
    seen = await watcher.look()
    assert seen.pool is not None
    return seen.pool


async def test_an_empty_namespace_has_no_worker_and_no_limit(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        watcher = Watcher(admin(redis), "weighbridge")
        seen = await watcher.look()
        pool = seen.pool
    assert (seen.number, seen.verdict.code) == (1, "no_worker")
    assert pool is not None
    assert (pool.rate.limit, pool.workers, pool.dead.total) == (0, (), 0)
    assert [lane.eta_s for lane in pool.queue.lanes] == [None, None]


async def test_what_a_worker_does_between_two_looks_is_told(redis_url: str) -> None:
    refusing = Answers(
        error=lambda body: PermanentFailure("poison", "") if b"bad" in body else None
    )
    answered: dict[CacheUse, int] = {"hit": 2}
    async with (
        connect(redis_url) as redis,
        running_pool(redis_url, refusing, rpm=6000),
        Client.connect(redis_url) as wb,
    ):
        watcher = Watcher(admin(redis), "weighbridge", answers=lambda: answered)

        async def worker_is_there() -> bool:
            return bool((await looked(watcher)).workers)

        await until(worker_is_there)
        answered = {"hit": 5, "miss": 1}
        for text in ("good", "better"):
            await wb.count({"model": "m", "messages": [{"role": "user", "content": text}]})
        with pytest.raises(CountFailed):
            await wb.count({"model": "m", "messages": [{"role": "user", "content": "bad"}]})

        async def told() -> bool:
            return (await looked(watcher)).work.total.count == 3

        await until(told)
        pool = await looked(watcher)
    assert pool.work.calls == {"counted": 2, "refused": 1}
    assert pool.work.cache == {"hit": 3, "joined": 0, "miss": 1}
    assert pool.work.call.p99_s is not None
    assert (pool.rate.limit, pool.rate.granted, pool.rate.permitted) == (6000, 3, 6000.0)
    assert (pool.dead.codes, pool.dead.recent) == ({"poison": 1}, {"poison": 1})
    [worker] = pool.workers
    assert (worker.state, worker.words, worker.calls) == ("taking", "taking", 3)
    assert watcher.columns().limit[-1] == 6000


async def test_only_the_last_five_minutes_letters_are_recent(redis_url: str) -> None:
    async with queue_on_server(redis_url) as queue:
        await queue.redis.xadd(
            queue.keys.dead, {"code": "timeout", "digest": queue.digest("old")}, id="1-1"
        )
        await bury(queue, "new", code="poison")
        state = await admin(queue.redis).inspect()
    assert state.dead_codes == {"poison": 1, "timeout": 1}
    assert state.dead_recent == {"poison": 1}


async def test_letters_that_come_and_go_between_looks_are_counted_right(redis_url: str) -> None:
    async with queue_on_server(redis_url) as queue:
        looking = admin(queue.redis)
        seen = []
        await bury(queue, "one", "two", code="poison")
        seen.append((await looking.inspect()).dead_codes)
        await bury(queue, "three", code="timeout")
        seen.append((await looking.inspect()).dead_codes)
        letters = dead(queue)
        [letter] = await letters.find(Selection(code="timeout"))
        await letters.drop([letter])
        await bury(queue, "four", code="lost")
        seen.append((await looking.inspect()).dead_codes)
        await letters.drop(await letters.find())
        seen.append((await looking.inspect()).dead_codes)
    assert seen == [{"poison": 2}, {"poison": 2, "timeout": 1}, {"poison": 2, "lost": 1}, {}]


async def test_a_server_that_is_gone_is_a_verdict(tmp_path: object) -> None:
    async with connect(f"unix://{tmp_path}/nobody.sock") as redis:
        seen = await Watcher(admin(redis), "weighbridge").look()
    assert (seen.pool, seen.verdict.code, seen.verdict.level) == (None, "unreachable", "trouble")
    assert "The pool cannot be seen: " in seen.verdict.text
