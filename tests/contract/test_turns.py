"""Turns: visits are promised slots in their order, and nobody owns what he was promised."""

from collections import Counter

import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest
from support.stored_queue import gaps

from weighbridge.records import Lease

pytestmark = pytest.mark.asyncio

SECOND_US = 1_000_000


async def test_where_nobody_waits_a_visit_without_a_turn_is_one(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(5)
    assert len((await queue.visit(8, turn_us=None)).leases) == 1


async def test_an_early_look_keeps_its_turn(queue: QueueUnderTest) -> None:
    await queue.set_rate(10)
    await queue.submit_many(9)
    await queue.take_many(2)
    first = await queue.visit(worker="first", turn_us=None)
    for number in range(5):
        await queue.visit(worker=f"other-{number}", turn_us=None)
    look = await queue.visit(worker="first", turn_us=first.visit_us)
    assert look.leases == ()
    assert look.visit_us <= first.visit_us


async def test_workers_that_wait_are_promised_one_turn_after_the_other(
    queue: QueueUnderTest,
) -> None:
    await queue.set_rate(10)
    await queue.submit_many(9)
    await queue.take_many(2)
    waits = [(await queue.visit(worker=f"w-{n}", turn_us=None)).visit_us for n in range(5)]
    assert waits == sorted(waits)
    assert all(abs(gap - 6 * SECOND_US) < SECOND_US for gap in gaps(waits))


async def test_the_slots_of_a_dead_worker_are_found(queue: QueueUnderTest) -> None:
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.submit_many(9)
    await queue.take()
    await queue.visit(worker="dead", turn_us=None)
    reply = await queue.visit(8, worker="alive", turn_us=None)
    await queue.pass_time(5)
    left_us = max(0, reply.visit_us - 5 * SECOND_US)
    assert len((await queue.visit(8, worker="alive", turn_us=left_us)).leases) == 1


async def test_workers_that_come_back_as_told_share_alike(queue: QueueUnderTest) -> None:
    line = await Line.of(queue, workers=4)
    for _ in range(40):
        await line.let_the_next_come()
    assert set(line.calls.values()) == {10}
    assert set(gaps(await queue.slots(line.leases, lease_s=200))) == {SECOND_US}


async def test_early_looks_take_nothing_from_those_who_come_in_time(queue: QueueUnderTest) -> None:
    line = await Line.of(queue, workers=4)
    for _ in range(20):
        await line.let_the_next_come()
        assert await line.let_the_last_look() == []
    assert set(line.calls.values()) == {5}


async def test_a_worker_that_comes_back_as_told_gets_a_slot(queue: QueueUnderTest) -> None:
    await queue.set_rate(300)
    await queue.submit_many(20)
    for _ in range(5):
        reply = await queue.visit(8)
        assert reply.leases
        await queue.pass_time(reply.visit_us / SECOND_US)


async def test_the_promises_on_slots_that_went_by_are_void(queue: QueueUnderTest) -> None:
    await queue.set_rate(10)
    await queue.submit_many(9)
    await queue.take()
    for number in range(9):
        await queue.visit(worker=f"dead-{number}", turn_us=None)
    await queue.pass_time(60)
    assert len((await queue.visit(8, worker="alive", turn_us=None)).leases) >= 1
    assert (await queue.visit(worker="alive")).visit_us <= 12 * SECOND_US


async def test_a_worker_never_sleeps_longer_than_ten_seconds_before_a_look(
    queue: QueueUnderTest,
) -> None:
    for number in range(300):
        await queue.redis.zadd(queue.keys.workers, {f"worker-{number}": 9e15})
    assert (await queue.visit()).longest_us <= 10 * SECOND_US
    await queue.redis.delete(queue.keys.workers)
    assert (await queue.visit()).longest_us == SECOND_US


class Line:
    """Workers at one slot a second, each of which comes back when it was told."""

    def __init__(self, queue: QueueUnderTest) -> None:
        self._queue = queue
        self._turns: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        self.leases: list[Lease] = []

    @classmethod
    async def of(cls, queue: QueueUnderTest, *, workers: int) -> "Line":
        """Let workers come for the first time, one after the other."""
        line = cls(queue)
        await queue.set_rate(ONE_SLOT_RPM)
        await queue.submit_many(60)
        for number in range(workers):
            await line._visit(f"worker-{number}", None)
        line.calls.clear()
        return line

    async def let_the_next_come(self) -> None:
        """Let time pass until the next turn, and its worker come."""
        worker = min(self._turns, key=lambda name: self._turns[name])
        wait_us = max(0, self._turns[worker])
        await self._queue.pass_time(wait_us / SECOND_US)
        self._turns = {name: turn_us - wait_us for name, turn_us in self._turns.items()}
        await self._visit(worker, 0)

    async def let_the_last_look(self) -> list[Lease]:
        """Let the worker at the end of the line come before its turn; returns what it got."""
        worker = max(self._turns, key=lambda name: self._turns[name])
        return await self._visit(worker, self._turns[worker])

    async def _visit(self, worker: str, turn_us: int | None) -> list[Lease]:
        reply = await self._queue.visit(8, worker=worker, turn_us=turn_us, lease_s=200)
        self._turns[worker] = reply.visit_us
        self.calls[worker] += len(reply.leases)
        self.leases += reply.leases
        return list(reply.leases)
