"""Suspects: from its third delivery on a job is called alone, and still it is called."""

import pytest
from support.queue_under_test import QueueUnderTest

from weighbridge.exchange import TakeReply
from weighbridge.records import Lane, Lease

pytestmark = pytest.mark.asyncio


async def test_a_suspect_is_alone_in_its_take(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    await queue.submit("a", "b")
    assert queue.names(await queue.take(8)) == ["suspect"]


async def test_the_second_delivery_is_none_of_a_suspect(queue: QueueUnderTest) -> None:
    await queue.submit("once")
    await queue.die_with("once")
    await queue.submit("a")
    assert queue.names(await queue.take(8)) == ["once", "a"]


async def test_a_take_that_begins_with_a_healthy_job_brings_no_suspect(
    queue: QueueUnderTest,
) -> None:
    await make_suspects(queue, "suspect")
    await queue.submit("quick", lane=Lane.INTERACTIVE)
    reply = await queue.visit(8)
    assert queue.names(reply.leases) == ["quick"]
    assert reply.alone


async def test_a_suspect_set_aside_keeps_its_place(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    await queue.submit("a", "b")
    await queue.submit("quick", lane=Lane.INTERACTIVE)
    await queue.take(8)
    assert await queue.ready() == ["suspect", "a", "b"]


async def test_a_worker_with_its_hands_full_gets_no_suspect(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    reply = await queue.visit(8, in_flight=1)
    assert (reply.leases, reply.alone) == ((), True)


async def test_a_worker_that_holds_a_missed_job_has_its_hands_full(queue: QueueUnderTest) -> None:
    await queue.submit("missed")
    missed = await queue.take_one()
    await make_suspects(queue, "suspect", worker="dead")
    reply = await queue.visit(8, held=[missed])
    assert queue.names(reply.leases) == ["missed"]
    assert reply.alone


async def test_a_worker_with_a_suspect_gets_nothing_else(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    await queue.take(8)
    await queue.submit("another")
    assert await queue.take(8, suspects=1, in_flight=1) == []


async def test_an_idle_worker_gets_the_second_suspect(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "one", "two")
    assert queue.names(await queue.take(8, worker="first")) == ["one"]
    assert queue.names(await queue.take(8, worker="second")) == ["two"]


async def test_other_workers_go_on_while_one_empties_its_hands(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    await queue.submit("a", "b")
    await queue.visit(8, worker="claimant", in_flight=3)
    reply = await queue.visit(8, worker="other", in_flight=3)
    assert queue.names(reply.leases) == ["a", "b"]
    assert not reply.alone


async def test_a_suspect_that_another_worker_claims_is_met_again_in_a_second(
    queue: QueueUnderTest,
) -> None:
    await make_suspects(queue, "suspect")
    await queue.visit(8, worker="claimant", in_flight=1)
    await queue.visit(8, worker="other", in_flight=1)
    assert await queue.places("suspect") == ["later"]
    await queue.pass_time(1.1)
    await queue.take(0, worker="other")
    assert await queue.places("suspect") == ["ready:batch"]


async def test_a_worker_that_empties_its_hands_is_given_nothing_to_fill_them(
    queue: QueueUnderTest,
) -> None:
    await make_suspects(queue, "suspect")
    await queue.submit("a", "b")
    await queue.visit(8, worker="claimant", in_flight=3)
    await queue.submit("quick", lane=Lane.INTERACTIVE)
    reply = await queue.visit(8, worker="claimant", in_flight=1)
    assert (reply.leases, reply.alone) == ((), True)


async def test_empty_hands_get_the_suspect_before_any_healthy_job(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    await queue.visit(8, worker="claimant", in_flight=1)
    await queue.submit("quick", lane=Lane.INTERACTIVE)
    assert queue.names(await queue.take(8, worker="claimant")) == ["suspect"]


async def test_empty_hands_get_the_suspect_that_others_moved_aside(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    await queue.submit("a")
    await queue.visit(8, worker="claimant", in_flight=1)
    await queue.visit(0, worker="other", in_flight=1)
    await queue.visit(8, worker="other", in_flight=1)
    assert await queue.places("suspect") == ["later"]
    assert queue.names(await queue.take(8, worker="claimant")) == ["suspect"]


async def test_a_suspect_pays_for_its_slot(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    before = await queue.permits()
    await queue.visit(8, in_flight=1)
    assert await queue.permits() == before
    await queue.take(8)
    assert await queue.permits() == before + 1


async def test_a_claim_outlives_its_worker_by_ten_seconds(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    await queue.visit(8, worker="dead", in_flight=1)
    await queue.pass_time(9)
    assert not (await queue.visit(8, worker="other", in_flight=1)).alone
    await queue.pass_time(2)
    assert (await queue.visit(8, worker="other", in_flight=1)).alone


async def test_a_clock_that_jumps_back_does_not_prolong_a_claim(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    await queue.visit(8, worker="dead", in_flight=1)
    await queue.pass_time(-3600)
    await queue.take(0, worker="other")
    await queue.pass_time(1)
    assert (await queue.visit(8, worker="other", in_flight=1)).alone


async def test_a_claim_lasts_while_its_worker_empties_its_hands(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    for _ in range(3):
        await queue.visit(8, worker="claimant", in_flight=1)
        await queue.pass_time(7)
    assert not (await queue.visit(8, worker="other", in_flight=1)).alone


async def test_a_claim_ends_when_another_worker_got_the_suspect(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    await queue.submit("a")
    await queue.visit(8, worker="claimant", in_flight=1)
    assert queue.names(await queue.take(8, worker="idle")) == ["suspect"]
    reply = await queue.visit(8, worker="claimant", in_flight=1)
    assert (queue.names(reply.leases), reply.alone) == (["a"], False)


async def test_a_suspect_that_was_handed_out_lets_another_be_claimed(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "one", "two")
    await queue.visit(8, worker="dead", in_flight=1)
    assert queue.names(await queue.take(8, worker="idle")) == ["one"]
    assert (await queue.visit(8, worker="other", in_flight=1)).alone


async def test_a_suspect_that_another_worker_got_leaves_the_claim_of_another_one(
    queue: QueueUnderTest,
) -> None:
    await make_suspects(queue, "one")
    await queue.visit(8, worker="claimant", in_flight=1)
    await queue.visit(8, worker="other", in_flight=1)
    await queue.submit("two")
    await queue.redis.hset(queue.keys.job(queue.digest("two")), "deliveries", 2)
    assert queue.names(await queue.take(8, worker="idle")) == ["two"]
    await queue.make_due("one")
    assert not (await queue.visit(8, worker="other", in_flight=1)).alone


async def test_a_claimed_suspect_that_expired_is_not_called(queue: QueueUnderTest) -> None:
    await queue.submit("suspect", deadline_s=5)
    for _ in range(2):
        await queue.die_with("suspect", worker="died")
    await queue.visit(8, worker="claimant", in_flight=1)
    await queue.pass_time(6)
    [lease] = await queue.take(0, worker="other")
    assert lease.verdict == "expired"
    assert await queue.take(8, worker="claimant") == []
    assert await queue.settle_script(lease) == ["settled"]


async def test_a_suspect_that_was_withdrawn_leaves_no_claim(queue: QueueUnderTest) -> None:
    await make_suspects(queue, "suspect")
    await queue.submit("a")
    await queue.visit(8, in_flight=1)
    await queue.cancel("suspect")
    reply = await queue.visit(8, in_flight=1)
    assert (queue.names(reply.leases), reply.alone) == (["a"], False)


async def test_a_claimed_suspect_whose_payload_vanished_is_a_verdict(
    queue: QueueUnderTest,
) -> None:
    await make_suspects(queue, "suspect")
    await queue.submit("a")
    await queue.visit(8, in_flight=1)
    await queue.delete_payload("suspect")
    leases = await queue.take(8)
    assert [lease.verdict for lease in leases] == ["payload_missing", ""]


@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("want", [1, 4])
async def test_no_suspect_starves_while_healthy_work_goes_on(
    queue: QueueUnderTest, want: int, workers: int, lane: Lane
) -> None:
    await queue.submit("one", "two")
    await queue.die_with("one", "two")
    await queue.take(2, worker="dying")
    fleet = BusyFleet(queue, workers=workers, want=want, lane=lane)
    for number in range(25):
        if number == 3:
            await queue.end_leases("one", "two")
        await fleet.go_round()
        await queue.pass_time(0.1)
    assert {"one", "two"} <= set(fleet.called)
    assert len(fleet.called) >= 15


class BusyFleet:
    """Workers that never run out of work, and keep a call in flight while they are given more."""

    def __init__(self, queue: QueueUnderTest, *, workers: int, want: int, lane: Lane) -> None:
        self._queue = queue
        self._want = want
        self._lane = lane
        self._held: dict[str, list[Lease]] = {f"worker-{n}": [] for n in range(workers)}
        self._submitted = 0
        self.called: list[str] = []

    async def go_round(self) -> None:
        """Let every worker visit once, then end its older calls."""
        for worker, held in self._held.items():
            await self._top_up()
            reply = await self._visit(worker, held)
            ended = held[:-1] if len(reply.leases) > 0 else held[:]
            del held[: len(ended)]
            self.called += self._queue.names(ended)
            await self._queue.settle(*ended)

    async def _visit(self, worker: str, held: list[Lease]) -> TakeReply:
        suspects = sum(lease.deliveries >= 3 for lease in held)
        reply = await self._queue.visit(
            self._want, worker=worker, suspects=suspects, in_flight=len(held)
        )
        held += reply.leases
        return reply

    async def _top_up(self) -> None:
        for lane in (Lane.BATCH, self._lane):
            while len(await self._queue.ready(lane)) < 2 * self._want:
                self._submitted += 1
                await self._queue.submit(f"healthy-{self._submitted}", lane=lane)


async def make_suspects(queue: QueueUnderTest, *names: str, worker: str = "died") -> None:
    """Submit jobs that were delivered twice to workers that died."""
    await queue.submit(*names)
    for _ in range(2):
        await queue.die_with(*names, worker=worker)
