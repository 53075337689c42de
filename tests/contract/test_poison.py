"""Poison: a payload that kills its worker is buried, and takes no neighbour with it."""

from dataclasses import dataclass, field
from random import Random

import anyio
import pytest
from support.queue_under_test import ONE_SLOT_RPM, QueueUnderTest

from weighbridge.records import Lane, Lease

pytestmark = pytest.mark.asyncio


async def test_the_fourth_delivery_is_a_verdict(queue: QueueUnderTest) -> None:
    await queue.submit("poison")
    for _ in range(3):
        await queue.die_with("poison")
    lease = await queue.take_one()
    assert (lease.verdict, lease.deliveries) == ("poison", 4)


async def test_a_burial_needs_no_permit(queue: QueueUnderTest) -> None:
    await queue.submit("poison")
    for _ in range(3):
        await queue.die_with("poison")
    await queue.take()
    assert await queue.permits() == 3


async def test_a_burial_takes_no_slot_from_healthy_jobs(queue: QueueUnderTest) -> None:
    await queue.submit("poison", "a", "b")
    for _ in range(3):
        await queue.die_with("poison")
    await queue.set_rate(ONE_SLOT_RPM)
    await queue.pass_time(1)
    assert queue.names(await queue.take(8)) == ["poison", "a"]


async def test_a_burial_whose_worker_died_is_handed_out_again(queue: QueueUnderTest) -> None:
    await queue.submit("poison")
    for _ in range(4):
        await queue.die_with("poison")
    assert (await queue.take_one()).verdict == "poison"


async def test_a_burial_that_was_released_stays_one(queue: QueueUnderTest) -> None:
    await queue.submit("poison")
    for _ in range(3):
        await queue.die_with("poison")
    await queue.jobs.release([await queue.take_one()])
    assert (await queue.take_one()).verdict == "poison"


async def test_passing_failures_never_make_a_job_look_poisonous(queue: QueueUnderTest) -> None:
    await queue.submit("a")
    for _ in range(7):
        await queue.jobs.retry(await queue.take_one(), 0)
    lease = await queue.take_one()
    assert (lease.verdict, lease.deliveries, lease.attempts) == ("", 1, 7)


@pytest.mark.parametrize("poisons", [1, 2, 5])
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("want", [1, 2, 8])
async def test_poison_buries_nobody_else(
    queue: QueueUnderTest, want: int, workers: int, poisons: int
) -> None:
    random = Random(f"{want} {workers} {poisons}")
    healthy = [f"job-{number}" for number in range(25)]
    poison = [f"poison-{number}" for number in range(poisons)]
    for name in random.sample([*healthy, *poison], 25 + poisons):
        await queue.submit(name, lane=random.choice(list(Lane)))
    fleet = Fleet(queue, random, workers=workers, want=want, poison=set(poison))
    with anyio.fail_after(30):
        await fleet.work_off()
    assert sorted(fleet.buried) == poison
    assert sorted(fleet.counted) == sorted(healthy)
    assert fleet.deaths <= 3 * poisons


@dataclass(slots=True)
class Hands:
    """What one worker holds."""

    in_flight: list[Lease] = field(default_factory=list)
    missed: list[Lease] = field(default_factory=list)
    alone: bool = False


class Fleet:
    """Workers that visit and call in any order, miss slots, lose replies, and die with all they
    hold where poison is called; each of the dead is replaced.
    """

    def __init__(
        self, queue: QueueUnderTest, random: Random, *, workers: int, want: int, poison: set[str]
    ) -> None:
        self._queue = queue
        self._random = random
        self._want = want
        self._poison = poison
        self._workers = {f"worker-{number}": Hands() for number in range(workers)}
        self.deaths = 0
        self.buried: list[str] = []
        self.counted: list[str] = []

    async def work_off(self) -> None:
        """Go on until no job is left."""
        while await self._queue.depth():
            worker, hands = self._random.choice(list(self._workers.items()))
            if hands.in_flight and (hands.alone or self._random.random() < 0.5):
                await self._call(worker, hands)
            elif self._random.random() < 0.8:
                await self._visit(worker, hands)
            else:
                await self._queue.pass_time(0.5)

    async def _visit(self, worker: str, hands: Hands) -> None:
        holds = [*hands.in_flight, *hands.missed]
        heard = self._random.random() < 0.95
        reply = await self._queue.visit(
            max(0, self._want - len(holds)),
            worker=worker,
            suspects=sum(lease.deliveries >= 3 for lease in holds),
            in_flight=len(hands.in_flight),
            held=hands.missed,
            heard=heard,
        )
        if heard:
            hands.alone = reply.alone
            for lease in reply.leases:
                await self._begin(hands, lease)

    async def _begin(self, hands: Hands, lease: Lease) -> None:
        hands.missed = [missed for missed in hands.missed if missed.token != lease.token]
        if lease.verdict == "poison":
            self.buried += self._queue.names([lease])
            await self._queue.fail(lease, code="poison")
        elif not lease.verdict:
            missed = self._random.random() < 0.3
            (hands.missed if missed else hands.in_flight).append(lease)

    async def _call(self, worker: str, hands: Hands) -> None:
        lease = hands.in_flight.pop(0)
        [name] = self._queue.names([lease])
        if name in self._poison:
            await self._queue.end_leases(
                name, *self._queue.names([*hands.in_flight, *hands.missed])
            )
            del self._workers[worker]
            self._workers[f"{worker}'"] = Hands()
            self.deaths += 1
        else:
            self.counted.append(name)
            await self._queue.settle(lease)
