"""A real queue beside its model: each step is foretold, then done, and the answers compared."""

from collections.abc import Sequence
from typing import Literal

from stateful.model import QueueModel
from stateful.stored import Job, stored_jobs
from stateful.visits import Answer, Asked, Visits
from support.queue_under_test import QueueUnderTest
from support.results import counted

from weighbridge.exchange import Submission
from weighbridge.records import Lane, Lease, encode_result

LONG_S = 240.0
"""Leases and delays whose end no example lives to see."""

Status = Literal["counted", "failed"]


class CheckedQueue:
    """One queue, its model, and every lease of which a worker ever heard.

    Every method raises AssertionError where the server did something else than the model.
    """

    def __init__(self, queue: QueueUnderTest) -> None:
        self.queue = queue
        self.model = QueueModel(queue.digest)
        self.leases: list[Lease] = []
        self._visits = Visits(self.model)
        self._last_token = 0
        self._unanswered = 0

    @property
    def holding(self) -> list[Lease]:
        """Those leases that hold."""
        return [at for name, at in self._named(self.leases) if self.model.holds(name, at.token)]

    async def submit(
        self,
        name: str,
        lane: Lane,
        producer: str,
        *,
        waiter: str = "",
        writes: bool = True,
        along: bool = False,
        max_queue: int = 100_000,
        force: bool = False,
        replies: bool = False,
    ) -> None:
        """Submit a job; its payload is written first, goes along or is missing.

        Args:
            replies: for the inbox.
        """
        if writes and not along:
            await self.queue.store_payload(name)
        entry = await self.queue.read_inbox_entry() if replies else ""
        predicted = self.model.submit(
            name,
            lane,
            producer,
            waiter=waiter,
            stored=along or await self.queue.has_payload(name),
            max_queue=max_queue,
            force=force,
            reply=entry,
        )
        submission = Submission(
            self.queue.job(name, lane=lane, producer=producer),
            force=force,
            along=along,
            reply=entry and f"{entry} 1 {entry}",
            entry=entry,
        )
        reply = await self.queue.submit_reply(submission, waiter=waiter, max_queue=max_queue)
        assert (reply.depth, reply.statuses) == (len(self.model.jobs), (predicted,))
        # Whoever read an entry that made no job answers it; nobody does here.
        self._unanswered += bool(entry) and predicted not in ("new", "joined")

    async def replay(self, name: str, lane: Lane, producer: str) -> None:
        """Drop a failure and submit its job again."""
        self.model.drop_failure(name)
        if name not in self.model.results:
            await self.queue.redis.unlink(self.queue.keys.result(self.queue.digest(name)))
        await self.submit(name, lane, producer, force=True)

    async def cancel(self, name: str, waiter: str) -> None:
        """Withdraw a job, wanted by others or not."""
        predicted = self.model.cancel(name, waiter)
        assert await self.queue.cancel(name, waiter=waiter) == predicted

    async def take(
        self,
        worker: str,
        want: int,
        *,
        suspects: int = 0,
        in_flight: int = 0,
        held: Sequence[Lease] = (),
        heard: bool = True,
        again: bool = False,
    ) -> None:
        """Visit once; ``again`` sends the last operation once more."""
        visitor = self.queue.visitor(worker)
        asked = Asked(
            worker=worker,
            operation=visitor.operation + (not again),
            confirmed=visitor.confirmed,
            want=want,
            suspects=suspects,
            in_flight=in_flight,
            held=[(name, lease.token) for name, lease in self._named(held)],
        )
        answer = self._visits.visit(asked)
        reply = await self.queue.visit(
            want,
            worker=worker,
            suspects=suspects,
            in_flight=in_flight,
            held=held,
            lease_s=LONG_S,
            heard=heard,
            again=again,
        )
        assert reply.alone == answer.alone
        self._compare(answer, reply.leases)
        self._visits.note(worker, answer, reply.leases)
        await self.queue.postpone(*answer.postponed, seconds=LONG_S)
        if heard:
            self.leases += [lease for lease in reply.leases if lease.verdict != "lost"]

    async def take_late(self, worker: str) -> None:
        """Let an operation arrive after a newer one."""
        visitor = self.queue.visitor(worker)
        if visitor.operation > 1:
            visitor.operation -= 1
            await self.take(worker, 4, heard=False, again=True)
            visitor.operation += 1

    async def settle(self, leases: Sequence[Lease], status: Status) -> None:
        """Publish and settle leases that hold, and others."""
        named = self._named(leases)
        for name, lease in named:
            self.model.publish(name, lease.token, status)
        predicted = [self.model.settle(name, lease.token, status) for name, lease in named]
        end = self.queue.settle if status == "counted" else self.queue.fail
        assert await end(*leases) == predicted.count("stale")

    async def publish_and_die(self, lease: Lease) -> None:
        """Write a count, and die before the settle."""
        [(name, _)] = self._named([lease])
        self.model.publish(name, lease.token, "counted")
        await self.queue.scripts.publish(
            self.queue.redis,
            self.queue.keys.result(lease.digest),
            encode_result(counted(lease.digest)),
            ttl_ms=300_000,
            failed=False,
        )

    async def release(self, lease: Lease) -> None:
        """Give a lease back unharmed."""
        [(name, _)] = self._named([lease])
        predicted = self.model.release(name, lease.token)
        assert await self.queue.jobs.release([lease]) == predicted

    async def retry(self, lease: Lease, *, due: bool) -> None:
        """Give a lease back with an attempt used, to come due at once or never."""
        [(name, _)] = self._named([lease])
        predicted = self.model.retry(name, lease.token, due=due)
        assert await self.queue.jobs.retry(lease, 0 if due else LONG_S) == predicted

    async def check(self, names: Sequence[str]) -> None:
        """Hold all that is stored against the model."""
        stored = await stored_jobs(self.queue, names)
        for name in names:
            foretold = Job.foretold(self.model, name)
            assert stored[name] == foretold, f"{name} is {stored[name]}, foretold {foretold}"
        keys, redis = self.queue.keys, self.queue.redis
        pipe = redis.pipeline(transaction=False)
        for key in (keys.dead, keys.inbox):
            pipe.xlen(key)
        pipe.llen(keys.doorbell)
        pipe.zcard(keys.workers)
        for entry in self.model.answered:
            pipe.exists(keys.reply(entry))
        # However long the test's own process stands still, the model knows of no outage.
        pipe.hdel(keys.bucket, "visited", "settle_until")
        dead, unanswered, rings, workers, *replies, _ = await pipe.execute()
        assert dead == self.model.buried
        assert unanswered == self._unanswered, "an entry leaves the inbox with its job's birth"
        assert rings <= workers
        assert all(replies), "a settled job's replies are written"

    def _named(self, leases: Sequence[Lease]) -> list[tuple[str, Lease]]:
        return list(zip(self.queue.names(leases), leases, strict=True))

    def _compare(self, answer: Answer, leases: Sequence[Lease]) -> None:
        named = self._named(leases)
        given = [(name, at.verdict, at.deliveries, at.attempts) for name, at in named]
        foretold = [(at.name, at.verdict, at.deliveries, at.attempts) for at in answer.grants]
        assert given == foretold, f"given {given}, foretold {foretold}"
        for name, lease in named:
            if name in answer.fresh and lease.verdict != "lost":
                assert lease.token > self._last_token, "no token comes twice"
                self._last_token = lease.token
