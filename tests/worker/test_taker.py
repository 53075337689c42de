"""The taker's pace: it waits for what can bring something, and never spins."""

import anyio
import pytest
from support.pools import until
from support.queue_under_test import QueueUnderTest, queue_on_server

from weighbridge.bucket import interval_us
from weighbridge_worker.ceiling import Ceiling
from weighbridge_worker.executor import HeldLease
from weighbridge_worker.logs import make_logger
from weighbridge_worker.taker import Taker
from weighbridge_worker.taker_settings import TakerSettings

pytestmark = pytest.mark.asyncio


class Clumsy:
    """A worker that misses its first slot, and holds what it gets after that."""

    def __init__(self, queue: QueueUnderTest, *, rpm: int) -> None:
        settings = TakerSettings("clumsy", "1", 8, lease_s=30.0, interval_us=interval_us(rpm))
        self.draining = anyio.Event()
        self.begun: list[HeldLease] = []
        self.taker = Taker(
            queue.jobs,
            settings,
            Ceiling(interval_us(rpm)),
            self.draining,
            self._start,
            make_logger("error", "json"),
        )

    async def _start(self, held: HeldLease) -> None:
        self.begun.append(held)
        if len(self.begun) == 1:
            self.taker.missed(held)


@pytest.mark.parametrize("deliveries", [1, 3])
async def test_a_worker_that_missed_a_slot_waits_for_the_next_one(
    redis_url: str, deliveries: int
) -> None:
    async with queue_on_server(redis_url) as queue:
        await queue.submit("a")
        for _ in range(deliveries - 1):
            await queue.die_with("a", worker="dead")
        await queue.set_rate(60)
        worker = Clumsy(queue, rpm=60)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.taker.run)
            await until(lambda: len(worker.begun) == 2)
            first, second = worker.begun
            worker.draining.set()
            worker.taker.finished(second)
            worker.taker.wake()
        assert (first.lease.deliveries, second.lease.deliveries) == (deliveries, deliveries)
        assert first.lease.token == second.lease.token
        assert second.operation <= 10
