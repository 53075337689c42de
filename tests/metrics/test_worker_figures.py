"""What a running worker writes of itself, and what a look at the pool makes of it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from support.pools import Answers, running_pool, until

from weighbridge import Client, CountFailed
from weighbridge.admin import Admin, WorkerState
from weighbridge.bucket import Bucket
from weighbridge.connection import connect
from weighbridge.figures import WorkerFigures
from weighbridge.keys import Keys
from weighbridge.scripts import Scripts
from weighbridge_worker.calls import PermanentFailure, Throttled

pytestmark = pytest.mark.asyncio
KEYS = Keys()
PAYLOAD = '{"model": "m", "messages": [{"role": "user", "content": "x"}]}'


@pytest_asyncio.fixture
async def admin(redis_url: str) -> AsyncIterator[Admin]:
    """Yield a look at the pool."""
    async with connect(redis_url) as redis:
        yield Admin(redis, KEYS, Bucket(redis, KEYS, Scripts(KEYS), rpm=100))


async def only_worker(admin: Admin) -> WorkerState:
    """Look at the one worker."""
    [worker] = (await admin.inspect(count_cached=False)).workers
    return worker


async def figures_when(admin: Admin, *, attempts: int) -> WorkerFigures:
    """Wait until so many calls are told of."""

    async def told() -> bool:
        return (await only_worker(admin)).figures.attempts >= attempts

    await until(told)
    return (await only_worker(admin)).figures


def payload(text: str) -> dict[str, object]:
    """Make a payload."""
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def by_word(body: bytes) -> Exception | None:
    """Fail as the payload says; a throttled call is answered the next time."""
    return PermanentFailure("invalid_request", "no") if b"bad" in body else None


async def test_calls_and_their_times_are_told(redis_url: str, admin: Admin) -> None:
    async with running_pool(redis_url, Answers(error=by_word)), Client.connect(redis_url) as wb:
        for number in range(5):
            await wb.count(payload(f"good {number}"))
        with pytest.raises(CountFailed):
            await wb.count(payload("bad"))
        figures = await figures_when(admin, attempts=6)
    assert figures.calls == {"counted": 5, "refused": 1}
    assert figures.failed == {"invalid_request": 1}
    assert figures.call.count == figures.wait.count == figures.total.count == 6
    assert figures.total.sum_s >= figures.wait.sum_s


async def test_a_throttled_call_is_no_end_of_a_job(redis_url: str, admin: Admin) -> None:
    left = [Throttled("rate_limited", "slow down", retry_after_s=0.05)]
    answers = Answers(error=lambda _: left.pop() if left else None)
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        await wb.count(payload("x"))
        figures = await figures_when(admin, attempts=2)
    assert (figures.rate_limited, figures.counted, figures.penalties) == (1, 1, 1)
    assert figures.total.count == 1


async def test_inbox_entries_are_told_by_how_they_were_taken_in(
    redis_url: str, admin: Admin
) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    async with connect(redis_url) as redis, running_pool(redis_url, answers):
        entries = [
            await redis.xadd(KEYS.inbox, {"payload": text}) for text in (PAYLOAD, PAYLOAD, "{")
        ]
        await until(lambda: told_of_inbox(admin, 3))
        answers.gate.set()
        await until(lambda: answered(redis, entries))
        again = await redis.xadd(KEYS.inbox, {"payload": PAYLOAD})
        await until(lambda: answered(redis, [again]))
        await until(lambda: told_of_inbox(admin, 4))
        inbox = (await only_worker(admin)).figures.inbox
    assert inbox == {"miss": 1, "joined": 1, "refused": 1, "hit": 1}


async def told_of_inbox(admin: Admin, entries: int) -> bool:
    """Whether so many entries are told of."""
    return sum((await only_worker(admin)).figures.inbox.values()) >= entries


async def answered(redis: "Redis", entries: Sequence[Any]) -> bool:
    """Whether all these entries have their replies."""
    return await redis.exists(*(KEYS.reply(entry.decode()) for entry in entries)) == len(entries)


async def test_a_worker_that_is_gone_gets_no_key_back(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        await Scripts(KEYS).note_figures(redis, "gone", b"{}")
        assert await redis.exists(KEYS.worker("gone")) == 0
