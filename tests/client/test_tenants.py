"""One client that submits for many: producer and partition by the call."""

from typing import Any

import pytest
from redis.asyncio import Redis
from support.pools import Answers, running_pool

from weighbridge import Client, Counted, CountFailed, QueueSettings
from weighbridge.digest import digest_of
from weighbridge.keys import Keys
from weighbridge.payload import check_payload
from weighbridge_worker.calls import PermanentFailure

pytestmark = pytest.mark.asyncio
PAYLOAD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


def digest(partition: str) -> str:
    return digest_of(check_payload(PAYLOAD), partition=partition)


async def test_a_call_names_its_producer_and_partition(redis_url: str) -> None:
    settings = QueueSettings(redis_url=redis_url, producer="own", partition="ours")
    async with Client.connect(settings=settings) as wb, Redis.from_url(redis_url) as redis:
        ticket = await wb.submit(PAYLOAD, producer="billing", partition="theirs")
        plain = await wb.submit(PAYLOAD)
        assert (ticket.digest, plain.digest) == (digest("theirs"), digest("ours"))
        jobs = [Keys().job(ticket.digest), Keys().job(plain.digest)]
        assert [await redis.hget(job, "producer") for job in jobs] == [b"billing", b"own"]
        assert await wb.cancel(ticket)
        assert await wb.cancel(plain)


async def test_partitions_share_no_counts(redis_url: str) -> None:
    answers = Answers()
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        caches = [
            (await wb.count(PAYLOAD, partition=partition)).cache
            for partition in ("red", "blue", "red", "")
        ]
        items = [item async for item in wb.count_many([PAYLOAD] * 2, partition="green")]
        [[batch]] = [item async for item in wb.count_batches([PAYLOAD], partition="blue")]
    assert caches == ["miss", "miss", "hit", "miss"]
    assert {item.digest for item in items} == {digest("green")}
    assert isinstance(batch.outcome, Counted)
    assert batch.outcome.cache == "hit"
    assert len(answers.bodies) == 4


async def test_a_prepared_job_is_looked_up_and_counted(redis_url: str) -> None:
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        job = await wb.prepare(PAYLOAD, partition="red")
        assert job.digest == digest("red")
        assert await wb.cached(job.digest) is None
        counted = await wb.count_job(job)
        found = await wb.cached(job.digest)
    assert counted.cache == "miss"
    assert isinstance(found, Counted)
    assert (found.cache, found.input_tokens) == ("hit", counted.input_tokens)


async def test_a_passing_failure_is_not_an_answer_from_the_cache(redis_url: str) -> None:
    passing = PermanentFailure("not_found", "no such model, for this key")
    async with (
        running_pool(redis_url, Answers(error=lambda _: passing)),
        Client.connect(redis_url) as wb,
    ):
        job = await wb.prepare(PAYLOAD)
        with pytest.raises(CountFailed):
            await wb.count_job(job)
        assert await wb.cached(job.digest) is None
