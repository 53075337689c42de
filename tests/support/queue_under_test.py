"""One namespace of the queue for the conformance suite: a step of the protocol in one line.

Jobs go by short names, workers too; digests, tokens and operation numbers are kept here.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer
from support.hands import Hands, hands_on, let_roles_run, one_hand
from support.key_leaks import leaked_keys
from support.results import counted, failed
from support.stored_queue import LEASE_S, ORPHAN_TTL_MS, StoredQueue

from weighbridge.bucket import Bucket
from weighbridge.connection import results_apart
from weighbridge.exchange import (
    Calls,
    Cancelled,
    Ending,
    Retention,
    Settled,
    Submission,
    SubmitReply,
    SubmitStatus,
    TakeReply,
    TakeRequest,
)
from weighbridge.jobs import Jobs, Verdict
from weighbridge.keys import Keys
from weighbridge.records import Job, Lane, Lease, Payload
from weighbridge.scripts import Scripts

FASTEST_RPM = 1_000_000
"""The default rate, so that only tests of the bucket meet it."""


NO_CALLS = Calls()

ONE_SLOT_RPM = 60
"""A rate at which a visit brings one slot, and the next one lies a second ahead."""


@dataclass(slots=True)
class Visitor:
    """What a worker knows of its visits."""

    operation: int = 0
    confirmed: int = 0


class QueueUnderTest(StoredQueue):
    """The scripts on one namespace, and a look at what they have stored."""

    def __init__(self, hands: Hands, *, flags: bool) -> None:
        super().__init__(hands.owner, Keys())
        self.flags = flags
        self.hands = hands
        self.scripts = Scripts(self.keys, flags=flags)
        let_roles_run(self.scripts, hands)
        self.jobs = Jobs(hands.worker, hands.taking, self.keys, self.scripts, Retention())
        self.bucket = Bucket(hands.owner, self.keys, self.scripts, rpm=FASTEST_RPM)
        self.visitors: dict[str, Visitor] = {}

    # The producers' side.

    def job(
        self,
        name: str,
        *,
        lane: Lane = Lane.BATCH,
        producer: str = "producer",
        deadline_s: float = 86_400,
    ) -> Job:
        """Make a job."""
        payload = Payload(name.encode(), "claude-sonnet-5")
        return Job(self.digest(name), payload, lane, producer, int(deadline_s * 1_000_000))

    async def store_payload(self, name: str) -> None:
        """Write a job's payload as a client does before its submit."""
        key = self.keys.payload(self.digest(name))
        await self.redis.set(key, name, px=ORPHAN_TTL_MS, nx=True)

    async def submit_reply(
        self,
        *submissions: Submission,
        waiter: str = "client",
        max_queue: int = 100_000,
        max_bytes: int = 2**30,
    ) -> SubmitReply:
        """Submit without writing payloads first."""
        return await self.scripts.submit(
            self.redis, submissions, waiter=waiter, max_queue=max_queue, max_bytes=max_bytes
        )

    async def submit(
        self,
        *names: str,
        lane: Lane = Lane.BATCH,
        producer: str = "producer",
        waiter: str = "client",
        deadline_s: float = 86_400,
        max_queue: int = 100_000,
        max_bytes: int = 2**30,
        force: bool = False,
        reply: str = "",
        entry: str = "",
    ) -> list[SubmitStatus]:
        """Write payloads, submit their jobs in one call and return what became of each."""
        for name in names:
            await self.store_payload(name)
        submissions = [
            Submission(
                self.job(name, lane=lane, producer=producer, deadline_s=deadline_s),
                force=force,
                reply=reply,
                entry=entry,
            )
            for name in names
        ]
        answer = await self.submit_reply(
            *submissions, waiter=waiter, max_queue=max_queue, max_bytes=max_bytes
        )
        return list(answer.statuses)

    async def cancel(self, name: str, *, waiter: str = "client") -> Cancelled:
        """Withdraw a job."""
        return await self.scripts.cancel(self.redis, self.digest(name), waiter=waiter)

    # The workers' side.

    def visitor(self, worker: str) -> Visitor:
        """Return what a worker knows."""
        return self.visitors.setdefault(worker, Visitor())

    async def visit(
        self,
        want: int = 1,
        *,
        worker: str = "worker",
        turn_us: int | None = 0,
        lead_us: int = 0,
        suspects: int = 0,
        in_flight: int = 0,
        held: Sequence[Lease] = (),
        calls: Calls = NO_CALLS,
        state: str = "taking",
        lease_s: float = LEASE_S,
        interval_us: int = 60_000_000 // FASTEST_RPM,
        heard: bool = True,
        again: bool = False,
    ) -> TakeReply:
        """Visit the queue once.

        Args:
            turn_us: what remains of the worker's turn: it has come, unless the test is about turns.
            held: leases whose slots the worker missed.
            calls: how its calls since its last visit went.
            state: what the worker says of itself.
            heard: the reply arrives; otherwise the worker never learns what it was granted.
            again: send the last operation a second time, as a repeating client would.
        """
        visitor = self.visitor(worker)
        visitor.operation += not again
        reply = await self.jobs.take(
            TakeRequest(
                worker=worker,
                operation=visitor.operation,
                confirmed=visitor.confirmed,
                want=want,
                lease_us=int(lease_s * 1_000_000),
                interval_us=interval_us,
                suspects=suspects,
                version="1",
                concurrency=8,
                state=state,
                turn_us=turn_us,
                lead_us=lead_us,
                in_flight=in_flight,
                held=tuple((lease.digest, lease.token) for lease in held),
                calls=calls,
            )
        )
        if heard:
            visitor.confirmed = visitor.operation
        return reply

    async def take(
        self,
        want: int = 1,
        *,
        worker: str = "worker",
        suspects: int = 0,
        in_flight: int = 0,
        held: Sequence[Lease] = (),
        lease_s: float = LEASE_S,
        heard: bool = True,
        again: bool = False,
    ) -> list[Lease]:
        """Visit the queue once in the worker's turn and return the leases."""
        reply = await self.visit(
            want,
            worker=worker,
            suspects=suspects,
            in_flight=in_flight,
            held=held,
            lease_s=lease_s,
            heard=heard,
            again=again,
        )
        return list(reply.leases)

    async def take_one(self, *, worker: str = "worker", lease_s: float = LEASE_S) -> Lease:
        """Visit the queue once for the one lease that there must be."""
        [lease] = await self.take(worker=worker, lease_s=lease_s)
        return lease

    async def take_many(
        self, count: int, *, worker: str = "worker", lease_s: float = LEASE_S
    ) -> list[Lease]:
        """Visit the queue until it has given nothing or as many leases as wanted."""
        leases: list[Lease] = []
        while len(leases) < count:
            more = await self.take(count - len(leases), worker=worker, lease_s=lease_s)
            if not more:
                break
            leases += more
        return leases

    async def settle(self, *leases: Lease, tokens: int = 7) -> int:
        """Publish counts and end their jobs; returns how many leases no longer held."""
        return await self.jobs.settle(
            [Verdict(lease, counted(lease.digest, tokens)) for lease in leases]
        )

    async def fail(self, *leases: Lease, code: str = "invalid_request") -> int:
        """Publish failures and end their jobs; returns how many leases no longer held."""
        return await self.jobs.settle(
            [Verdict(lease, failed(lease.digest, code)) for lease in leases]
        )

    async def settle_script(
        self,
        *leases: Lease,
        code: str = "",
        result: bytes = b'{"n":1}',
        max_dead: int = 100,
        dead_ttl_ms: int = 86_400_000,
    ) -> list[Settled]:
        """Run the script alone, once."""
        endings = [Ending(lease.digest, lease.token, result, code) for lease in leases]
        retention = Retention(dead_ms=dead_ttl_ms)
        return list(
            await self.scripts.settle(
                self.redis,
                endings,
                retention,
                max_dead=max_dead,
                published=results_apart(self.redis),
            )
        )

    async def set_rate(self, rpm: int) -> None:
        """Set the rate as an operator does."""
        await self.bucket.change("set", rpm=rpm)

    async def interval_in_force(self) -> int:
        """Return the µs between two slots as a visit learns them."""
        return (await self.visit(0, worker="onlooker")).interval_us

    async def submit_many(self, count: int) -> None:
        """Submit jobs of which the test needs no names."""
        await self.submit(*(f"job-{number}" for number in range(count)))

    async def permits(self) -> int:
        """Return how many permits were ever granted."""
        return (await self.bucket.inspect()).granted

    async def work_off(self, *, worker: str = "worker", want: int = 8) -> list[str]:
        """Take and settle until nothing is ready; returns the jobs' names in their order."""
        order: list[str] = []
        while leases := await self.take(want, worker=worker):
            order += self.names(leases)
            await self.settle(*leases)
        return order

    async def die_with(self, *names: str, worker: str = "worker") -> None:
        """Deliver jobs once to a worker that dies with them."""
        leases = await self.take(len(names), worker=worker)
        assert sorted(self.names(leases)) == sorted(names)
        await self.end_leases(*names)


@asynccontextmanager
async def queue_on_server(url: str) -> AsyncIterator[QueueUnderTest]:
    """Open the queue on a real server."""
    async with hands_on(url) as hands:
        yield await _opened(QueueUnderTest(hands, flags=True))


@asynccontextmanager
async def queue_on_fake() -> AsyncIterator[QueueUnderTest]:
    """Open the queue on an in-memory fake, and check it for leaked keys at the end."""
    server = FakeServer(version=(7,))
    client = FakeAsyncRedis(server=server)
    try:
        yield await _opened(QueueUnderTest(one_hand(client), flags=False))
        leaked = leaked_keys(FakeRedis(server=server))
        assert not leaked, f"keys without a TTL that nothing will ever remove: {leaked}"
    finally:
        await client.aclose()


async def _opened(queue: QueueUnderTest) -> QueueUnderTest:
    await queue.bucket.offer()
    return queue
