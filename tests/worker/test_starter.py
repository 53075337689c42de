"""When leases start: at their slots, and where they are read if those have come."""

import anyio
import pytest
from support.pools import until

from weighbridge.bucket import interval_us
from weighbridge.records import Lane, Lease
from weighbridge_worker.ceiling import Ceiling
from weighbridge_worker.executor import HeldLease
from weighbridge_worker.starter import Starter

pytestmark = pytest.mark.asyncio


def held(token: int, *, slot_at: float) -> HeldLease:
    """Make a lease with its slot at a moment of the loop's clock."""
    lease = Lease("d" * 64, token, "", 0, 1, 1, 0, Lane.BATCH, "claude", (), "p", 0)
    return HeldLease(lease, b"{}", slot_at=slot_at, forfeit_at=0.0, ends_at=0.0)


class Started:
    """A starter and the tokens of what it started."""

    def __init__(self, *, rpm: int) -> None:
        self.tokens: list[int] = []
        self.draining = anyio.Event()
        self.starter = Starter(Ceiling(interval_us(rpm)), self.draining, self._note)

    def _note(self, lease: HeldLease) -> None:
        self.tokens.append(lease.lease.token)


async def test_a_lease_that_is_due_starts_without_the_task() -> None:
    started = Started(rpm=60_000)
    await started.starter.expect(held(1, slot_at=anyio.current_time()))
    assert started.tokens == [1]


async def test_none_starts_early_or_before_one_that_waits() -> None:
    started, now = Started(rpm=60_000), anyio.current_time()
    await started.starter.expect(held(1, slot_at=now + 0.02))
    await started.starter.expect(held(2, slot_at=now))
    assert started.tokens == []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(started.starter.run)
        await until(lambda: len(started.tokens) == 2)
        assert anyio.current_time() >= now + 0.02
        started.draining.set()
        started.starter.wake()
    assert started.tokens == [2, 1]


async def test_the_ceiling_holds_what_is_due() -> None:
    started, now = Started(rpm=60), anyio.current_time()
    for token in range(5):
        await started.starter.expect(held(token, slot_at=now))
    assert started.tokens == [0, 1]
