"""Any order of steps, lost replies, deaths, missed slots and stale tokens leaves a queue that makes
sense.
"""

from collections.abc import Sequence
from random import Random

import pytest
from support.queue_under_test import QueueUnderTest

from weighbridge.bucket import Refusal
from weighbridge.records import Lane, Lease

pytestmark = pytest.mark.asyncio

NAMES = [f"job-{number}" for number in range(12)]
WORKERS = ["one", "two", "three"]
STEPS = 250


@pytest.mark.parametrize("seed", range(3))
async def test_every_job_stands_in_one_place_and_ends_once(
    queue: QueueUnderTest, seed: int
) -> None:
    walk = Walk(queue, Random(seed))
    for _ in range(STEPS):
        await walk.step()
        assert await queue.inconsistencies() == []
    await walk.finish()
    assert await queue.depth() == 0
    assert walk.ended == walk.begun > STEPS / 50


class Walk:
    """Random steps; leases are kept for ever, so that most of those tried later are stale."""

    def __init__(self, queue: QueueUnderTest, random: Random) -> None:
        self._queue = queue
        self._random = random
        self._leases: list[Lease] = []
        self.begun = 0
        self.ended = 0

    async def step(self) -> None:
        """Take one step."""
        steps = [self._submit, self._submit, self._visit, self._visit, self._end, self._end]
        await self._random.choice([*steps, self._cancel, self._fail_something])()

    async def finish(self) -> None:
        """Work off whatever is left."""
        await self._queue.redis.delete(self._queue.keys.bucket)
        for _ in range(10):
            await self._queue.end_leases()
            await self._queue.make_due(*NAMES)
            leases = [lease for name in WORKERS for lease in await self._queue.take(8, worker=name)]
            self.ended += (await self._queue.settle_script(*leases)).count("settled")

    async def _submit(self) -> None:
        statuses = await self._queue.submit(
            *self._random.sample(NAMES, 2),
            lane=self._random.choice(list(Lane)),
            producer=self._random.choice("pqr"),
            waiter=self._random.choice("wx"),
            deadline_s=self._random.choice([1, 3600]),
            force=self._random.random() < 0.8,
        )
        self.begun += statuses.count("new")

    async def _visit(self) -> None:
        missed = [lease for lease in self._leases[-6:] if not lease.verdict][:2]
        reply = await self._queue.visit(
            self._random.randrange(5),
            worker=self._random.choice(WORKERS),
            turn_us=self._random.choice([None, 0, 10_000]),
            in_flight=self._random.randrange(2),
            suspects=int(self._random.random() < 0.1),
            held=missed if self._random.random() < 0.3 else [],
            heard=self._random.random() < 0.8,
        )
        self._note(reply.leases)

    def _note(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            assert lease.verdict or lease.deliveries <= 3
        self._leases += leases

    async def _end(self) -> None:
        if not self._leases:
            return
        lease = self._random.choice(self._leases[-8:])
        how = self._random.randrange(4)
        if how == 0:
            await self._queue.jobs.release([lease])
        elif how == 1:
            await self._queue.jobs.retry(lease, self._random.choice([0, 60]))
        else:
            code = self._random.choice(["", "bad"])
            self.ended += (await self._queue.settle_script(lease, code=code)).count("settled")

    async def _cancel(self) -> None:
        name, waiter = self._random.choice(NAMES), self._random.choice("wx")
        self.ended += await self._queue.cancel(name, waiter=waiter) == "withdrawn"

    async def _fail_something(self) -> None:
        how = self._random.randrange(6)
        if how == 0:
            await self._queue.end_leases(self._random.choice(NAMES))
        elif how == 1:
            await self._queue.make_due(self._random.choice(NAMES))
        elif how == 2:
            await self._queue.pass_time(self._random.choice([0.5, 20, -7200]))
        elif how == 3:
            await self._queue.redis.delete(self._queue.keys.bucket)
        elif how == 4:
            hold = self._random.choice(["", "", "spend_limit"])
            await self._queue.bucket.penalise(Refusal(1, self._random.randrange(3), hold))
        else:
            await self._queue.bucket.change(self._random.choice(["pause", "resume", "resume"]))
