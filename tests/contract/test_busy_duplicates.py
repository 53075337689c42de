"""Producers and workers at once: duplicates race with settles, and still nothing is done twice."""

from collections import Counter
from random import Random

import anyio
import pytest
from support.queue_under_test import QueueUnderTest

from weighbridge.errors import QueueFull
from weighbridge.exchange import Submission
from weighbridge.submitter import Submitter

pytestmark = pytest.mark.asyncio

NAMES = [f"job-{number}" for number in range(150)]
PRODUCERS = 8
WORKERS = 3


async def test_many_producers_of_the_same_payloads_make_one_call_each(
    queue: QueueUnderTest,
) -> None:
    busy = Busy(queue)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(WORKERS):
                tasks.start_soon(busy.work, f"worker-{number}")
            for number in range(PRODUCERS):
                tasks.start_soon(busy.produce, number)
    assert busy.without_payload == 0
    assert busy.calls == Counter(NAMES)
    assert busy.admitted == Counter(dict.fromkeys(NAMES, PRODUCERS))


class Busy:
    """What producers and workers did."""

    def __init__(self, queue: QueueUnderTest) -> None:
        self._queue = queue
        self._producing = PRODUCERS
        self.admitted: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.without_payload = 0

    async def produce(self, number: int) -> None:
        """Submit every payload, some at a time, in an order of one's own."""
        queue = self._queue
        submitter = Submitter(
            queue.hands.producer,
            queue.keys,
            queue.scripts,
            waiter=f"client-{number}",
            max_queue=1000,
            max_bytes=2**30,
        )
        names = Random(number).sample(NAMES, len(NAMES))
        for start in range(0, len(names), 5):
            part = names[start : start + 5]
            admissions = await submitter.submit([Submission(queue.job(name)) for name in part])
            assert not any(isinstance(admission, QueueFull) for admission in admissions)
            self.admitted.update(part)
        self._producing -= 1

    async def work(self, worker: str) -> None:
        """Take and settle until the producers are done and nothing is left."""
        queue = self._queue
        while leases := await queue.take(4, worker=worker) or self._producing:
            if isinstance(leases, int):
                await anyio.sleep(0.001)
                continue
            payloads = await queue.jobs.payloads(leases, {})
            self.without_payload += list(payloads.values()).count(None)
            self.calls.update(queue.names(leases))
            await queue.settle(*leases)
