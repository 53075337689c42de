"""The crew: a task is used again, a bug ends one lease, a stop gives all of them back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from support.pools import until

from weighbridge.records import Lane, Lease
from weighbridge_worker.crew import Crew
from weighbridge_worker.executor import Decision, HeldLease, Hold, Release
from weighbridge_worker.logs import make_logger

pytestmark = pytest.mark.asyncio


class Work:
    """What a crew is given to do: it notes tasks and decisions, and waits at the gate."""

    def __init__(self) -> None:
        self.gate = anyio.Event()
        self.tasks: set[object] = set()
        self.begun: list[int] = []
        self.carried_out: list[tuple[int, Decision]] = []
        self.broken_off: list[int] = []
        self.crew = Crew(
            self._decide,
            self._carry_out,
            lambda held: self.broken_off.append(held.lease.token),
            make_logger("error", "json"),
        )

    async def _decide(self, held: HeldLease) -> Decision:
        self.tasks.add(asyncio.current_task())
        self.begun.append(held.lease.token)
        await self.gate.wait()
        if held.body is None:
            raise ValueError("a bug")
        return Hold()

    async def _carry_out(self, held: HeldLease, decision: Decision) -> None:
        self.carried_out.append((held.lease.token, decision))

    def has_ended(self, count: int) -> bool:
        return len(self.carried_out) == count

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.crew.run)
            yield
            self.crew.dismiss()


def held(token: int, body: bytes | None = b"{}") -> HeldLease:
    """Make a lease whose slot has come."""
    lease = Lease("d" * 64, token, "", 0, 1, 1, 0, Lane.BATCH, "claude", (), "p", 0)
    return HeldLease(lease, body, slot_at=0.0, forfeit_at=0.0, ends_at=0.0)


async def test_one_task_serves_one_lease_after_another() -> None:
    work = Work()
    work.gate.set()
    async with work.running():
        for number in range(3):
            work.crew.start(held(number))
            await until(partial(work.has_ended, number + 1))
    assert [token for token, _ in work.carried_out] == [0, 1, 2]
    assert len(work.tasks) == 1


async def test_leases_are_worked_on_at_once() -> None:
    work = Work()
    async with work.running():
        for token in range(3):
            work.crew.start(held(token))
        await until(lambda: len(work.begun) == 3)
        work.gate.set()
    assert {token for token, _ in work.carried_out} == {0, 1, 2}


async def test_what_was_begun_before_the_dismissal_is_finished() -> None:
    work = Work()
    async with work.running():
        work.crew.start(held(0))
        await until(lambda: len(work.begun) == 1)
        work.crew.dismiss()
        work.crew.start(held(1))
        work.gate.set()
    assert [token for token, _ in work.carried_out] == [0, 1]


async def test_a_bug_breaks_off_one_lease_and_no_task() -> None:
    work = Work()
    work.gate.set()
    async with work.running():
        work.crew.start(held(0, body=None))
        await until(lambda: work.broken_off == [0])
        work.crew.start(held(1))
        await until(lambda: len(work.carried_out) == 1)
    assert len(work.tasks) == 1


async def test_a_stop_gives_back_what_is_under_way() -> None:
    work = Work()
    async with anyio.create_task_group() as tasks:
        await tasks.start(work.crew.run)
        for token in range(2):
            work.crew.start(held(token))
        await until(lambda: len(work.begun) == 2)
        tasks.cancel_scope.cancel()
    assert sorted(work.carried_out, key=lambda one: one[0]) == [
        (0, Release("stopped")),
        (1, Release("stopped")),
    ]


async def test_a_lease_that_comes_amid_a_stop_is_given_back() -> None:
    work = Work()
    work.gate.set()
    async with anyio.create_task_group() as tasks:
        await tasks.start(work.crew.run)
        work.crew.start(held(0))
        await until(partial(work.has_ended, 1))
        tasks.cancel_scope.cancel()
        await anyio.lowlevel.cancel_shielded_checkpoint()  # the idle task has been told
        work.crew.start(held(1))
    assert work.carried_out[1:] == [(1, Release("stopped"))]
