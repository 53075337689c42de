"""Many payloads submitted by one call."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from support.pools import Answers, live_jobs, running_pool
from support.sent_commands import sent_commands

from weighbridge import (
    Client,
    Counted,
    MalformedPayload,
    NotCountablePayload,
    QueueFull,
    QueueSettings,
    QueueUnreachable,
    Ticket,
)
from weighbridge.preparation import LARGE_BYTES
from weighbridge.submitter import ALONG_BYTES, BATCH

pytestmark = pytest.mark.asyncio


def payload(number: int, *, length: int = 0) -> dict[str, Any]:
    """Make a payload that differs from the others."""
    text = f"job {number} " + "x" * length
    return {"model": "claude-test", "messages": [{"role": "user", "content": text}]}


async def test_each_payload_gets_its_ticket_in_order(redis_url: str) -> None:
    payloads = [payload(number) for number in range(3 * BATCH + 1)]
    async with Client.connect(redis_url) as wb:
        tickets = await wb.submit_many(payloads)
        alone = [await wb.prepare(each) for each in payloads]
    assert [ticket.digest for ticket in tickets if isinstance(ticket, Ticket)] == [
        job.digest for job in alone
    ]
    assert await live_jobs(redis_url) == len(payloads)


async def test_their_counts_can_be_waited_for(redis_url: str) -> None:
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        for ticket in await wb.submit_many(payload(number) for number in range(5)):
            assert isinstance(ticket, Ticket)
            assert isinstance(await wb.result(ticket), Counted)


async def test_a_batch_is_two_round_trips(redis_url: str) -> None:
    with sent_commands(redis_url) as sent:
        async with Client.connect(redis_url) as wb:
            await wb.submit_many(payload(number) for number in range(2 * BATCH))
    assert (sent["MGET"], sent["EVALSHA"], sent["SET"]) == (2, 2, 0)


async def test_what_cannot_be_submitted_is_told_in_its_place(redis_url: str) -> None:
    remote = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    refused = payload(2) | {"messages": [{"role": "user", "content": [remote]}]}
    async with Client.connect(redis_url) as wb:
        first, broken, last, uncountable = await wb.submit_many(
            [payload(1), "no JSON", payload(3), refused]
        )
    assert isinstance(first, Ticket)
    assert isinstance(last, Ticket)
    assert isinstance(broken, MalformedPayload)
    assert isinstance(uncountable, NotCountablePayload)


async def test_a_full_queue_takes_what_fits(redis_url: str) -> None:
    settings = QueueSettings(redis_url=redis_url, max_queue=3)
    async with Client.connect(settings=settings) as wb:
        outcomes = await wb.submit_many(payload(number) for number in range(5))
    assert [type(outcome) for outcome in outcomes] == [Ticket] * 3 + [QueueFull] * 2


async def test_duplicates_join_and_what_is_cached_is_a_hit(redis_url: str) -> None:
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        await wb.count(payload(1))
    async with Client.connect(redis_url) as wb:
        outcomes = await wb.submit_many([payload(1), payload(2), payload(2)])
        again = await wb.submit_many([payload(1)], fresh=True)
    assert [outcome.cache for outcome in outcomes if isinstance(outcome, Ticket)] == [
        *("hit", "miss", "joined")
    ]
    assert [outcome.cache for outcome in again if isinstance(outcome, Ticket)] == ["miss"]


async def test_payloads_of_every_size_arrive_whole(redis_url: str) -> None:
    answers = Answers()
    payloads = [payload(1), payload(2, length=ALONG_BYTES), payload(3, length=LARGE_BYTES)]
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        for ticket in await wb.submit_many([json.dumps(each) for each in payloads]):
            assert isinstance(ticket, Ticket)
            await wb.result(ticket)
    assert sorted(map(json.loads, answers.bodies), key=str) == sorted(payloads, key=str)


async def test_payloads_may_come_from_an_asynchronous_source(redis_url: str) -> None:
    async def source() -> AsyncIterator[dict[str, Any]]:
        yield payload(1)
        yield payload(2)

    async with Client.connect(redis_url) as wb:
        assert len(await wb.submit_many(source())) == 2


async def test_no_payloads_are_no_tickets(redis_url: str) -> None:
    async with Client.connect(redis_url) as wb:
        assert await wb.submit_many([]) == []


async def test_what_a_source_gave_before_its_error_is_submitted(redis_url: str) -> None:
    def source() -> Iterator[dict[str, Any]]:
        yield from (payload(number) for number in range(BATCH + 1))
        raise LookupError("the row is gone")

    async with Client.connect(redis_url) as wb:
        with pytest.raises(LookupError, match="row is gone"):
            await wb.submit_many(source())
    assert await live_jobs(redis_url) == BATCH + 1


async def test_a_server_that_refuses_is_told_as_such(redis_url: str) -> None:
    async with Client.connect(redis_url) as wb:
        await wb._redis.set(wb._keys.deadlines, "no sorted set")
        with pytest.raises(QueueUnreachable, match="refuses a command"):
            await wb.submit_many(payload(number) for number in range(3 * BATCH))
