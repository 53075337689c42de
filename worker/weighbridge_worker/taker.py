"""Visits the queue when a place is free and its turn has come, and starts what it is given.

Its moods: taking; idle, until the doorbell; sitting out, when it missed slots twice in a row, for
the machine is too busy to keep them; barred but for a probe, when the endpoint refuses its key, or
its calls fail while others' are answered.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import anyio
from redis.exceptions import RedisError
from structlog.typing import FilteringBoundLogger

from weighbridge.connection import POLL_S
from weighbridge.exchange import TakeReply, TakeRequest
from weighbridge.grace import grace_s
from weighbridge.jobs import Jobs
from weighbridge.records import Lease
from weighbridge.server_clock import ServerClock
from weighbridge_worker.ceiling import Ceiling
from weighbridge_worker.executor import Draining, HeldLease
from weighbridge_worker.outcomes import Outcomes
from weighbridge_worker.standing import Standing

EARLY_US = 500
"""A turn that is nearer than this has come."""

IDLE_S = 8.0
"""The longest wait on the doorbell. Ten seconds without a visit look like an outage to take.lua."""

LOST = "lost"
"""The verdict on a held job that another worker has by now; the word stands in take.lua too."""

SUSPECT_FROM = 3
"""The delivery from which a job may be poison; the number stands in take.lua too."""


@dataclass(frozen=True, slots=True)
class TakerSettings:
    """Who takes, how much at once, and what one lease and one slot are worth."""

    worker: str
    version: str
    concurrency: int
    lease_s: float
    interval_us: int


class Taker:
    """One worker's only visitor of the queue.

    Args:
        start: begins the work on a lease; the taker is told by ``finished`` or ``missed`` how it
            went.
    """

    def __init__(
        self,
        jobs: Jobs,
        settings: TakerSettings,
        ceiling: Ceiling,
        draining: Draining,
        start: Callable[[HeldLease], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._jobs = jobs
        self._settings = settings
        self._ceiling = ceiling
        self._draining = draining
        self._start = start
        self._log = log
        self._held: dict[int, HeldLease] = {}
        self._missed: dict[int, HeldLease] = {}
        self.standing = Standing()
        self._outcomes = Outcomes()
        self._server_clock = ServerClock()
        self._place_freed = anyio.Event()
        self._idle = anyio.CancelScope()
        self._operation = 0
        self._confirmed = 0
        self._turn_at: float | None = None
        self._interval_us = settings.interval_us
        self._away = False
        self.turned_at = anyio.current_time()
        """When the last turn of ``run`` began."""
        self.taken_at: float | None = None
        """When the queue last answered a visit."""
        self.hold = ""
        """Why the fleet holds, by that answer, or empty."""

    @property
    def in_flight(self) -> int:
        """Leases in this process."""
        return len(self._held)

    @property
    def _busy(self) -> int:
        """Leases whose calls run or wait for their slots."""
        return len(self._held) - len(self._missed)

    @property
    def _suspects(self) -> int:
        return sum(held.lease.deliveries >= SUSPECT_FROM for held in self._held.values())

    def heard(self, held: HeldLease, *, failed: bool) -> None:
        """Note for the next visit whether the endpoint failed a call, or answered it."""
        self._outcomes.note(held.generation, failed=failed)
        if held.own_probe and failed:
            self.standing.bar("failing_alone")
        if not failed and self.standing.unbar("failing_alone"):
            self._log.info("answered_again")

    def finished(self, held: HeldLease) -> None:
        """Free a lease's place."""
        self._held.pop(held.lease.token, None)
        if held.slot_at <= anyio.current_time():
            self.standing.met(held.operation)
        self._place_freed.set()

    def missed(self, held: HeldLease) -> None:
        """Keep a job whose slot was missed, with its payload, for the next visit."""
        self._missed[held.lease.token] = held
        if held.missed:
            self.standing.missed_again(held.operation)
        self._place_freed.set()
        self._idle.cancel()

    def key_refused(self, code: str) -> None:
        """Take no more than a probe until the endpoint accepts our key.

        The endpoint's own words are not logged: they may repeat the payload. ``weighbridge probe``
        shows them.
        """
        if self.standing.bar("key_refused"):
            self._log.error("key_refused", code=code)
            self._idle.cancel()

    def key_accepted(self) -> None:
        """Take again."""
        if self.standing.unbar("key_refused"):
            self._log.info("key_accepted")

    def wake(self) -> None:
        """End an idle wait, so that a drain need not sit it out."""
        self._idle.cancel()

    async def run(self) -> None:
        """Take until the drain; then give back what missed its slot."""
        while not self._draining.is_set():
            self.turned_at = anyio.current_time()
            try:
                reply = await self._visit()
                self._back()
                await self._until_next(reply)
            except RedisError as error:
                self._gone(error)
                await self._rest(random.uniform(0.1, 1.0))  # noqa: S311 - jitter
        await self.give_missed_back()

    async def give_missed_back(self) -> None:
        """Release the jobs that wait here for another slot; they end by themselves otherwise."""
        leases = [held.lease for held in self._missed.values()]
        for lease in leases:
            self._held.pop(lease.token, None)
        self._missed.clear()
        if leases:
            with suppress(RedisError):
                await self._jobs.release(leases)

    async def _visit(self) -> TakeReply:
        self._operation += 1
        requested_at = anyio.current_time()
        reply = await self._jobs.take(self._request(requested_at))
        self.taken_at = replied_at = anyio.current_time()
        self.hold = reply.hold
        read = reply.now_us / 1_000_000
        self._server_clock.learn(asked_at=requested_at, read=read, replied_at=replied_at)
        fresh = [lease for lease in reply.leases if lease.token not in self._missed]
        bodies = await self._jobs.payloads(fresh) if fresh else []
        # Confirmed only now: what a lost reply or a failed read granted is taken back, unharmed.
        self._confirmed = self._operation
        self._turn_at = replied_at + reply.visit_us / 1_000_000
        self._interval_us = reply.interval_us
        self._outcomes.follow(reply.generation)
        self._judged(reply)
        self._ceiling.follow(reply.interval_us)
        if reply.leases:
            self.standing.began(anyio.current_time() - requested_at)
        body_of = {lease.token: body for lease, body in zip(fresh, bodies, strict=True)}
        for lease in reply.leases:
            self._begin(lease, body_of, reply)
        return reply

    def _judged(self, reply: TakeReply) -> None:
        """Take to heart whose calls fail."""
        if reply.failing == "fleet":
            self._log.warning("holding", code=reply.hold)
        if reply.failing == "worker" and not self.standing.barred:
            self.standing.bar("failing_alone")
            self._log.error("failing_alone")

    def _request(self, now: float) -> TakeRequest:
        settings = self._settings
        turn_us = None if self._turn_at is None else int((self._turn_at - now) * 1_000_000)
        resting = self.standing.rest_s() > 0  # a visit then is no more than a sign of life
        places = 0 if resting else 1 if self.standing.barred else settings.concurrency
        return TakeRequest(
            worker=settings.worker,
            operation=self._operation,
            confirmed=self._confirmed,
            want=max(0, places - len(self._held)),
            lease_us=int(settings.lease_s * 1_000_000),
            interval_us=settings.interval_us,
            suspects=self._suspects,
            version=settings.version,
            concurrency=settings.concurrency,
            state=self.standing.state,
            turn_us=0 if turn_us is not None and turn_us < EARLY_US else turn_us,
            in_flight=self._busy,
            lead_us=int(self.standing.lead_s(grace_s(self._interval_us)) * 1_000_000),
            calls=self._outcomes.report(),
            held=()
            if resting
            else tuple((held.lease.digest, token) for token, held in self._missed.items()),
        )

    def _begin(self, lease: Lease, body_of: dict[int, bytes | None], reply: TakeReply) -> None:
        before = self._missed.pop(lease.token, None)
        if lease.verdict == LOST:
            self._held.pop(lease.token, None)
            return
        clock = self._server_clock
        slot_at = clock.surely_from((reply.now_us + lease.slot_us) / 1_000_000)
        ends = (reply.now_us + lease.ends_us) / 1_000_000
        held = HeldLease(
            lease,
            before.body if before is not None else body_of[lease.token],
            slot_at=slot_at,
            forfeit_at=slot_at + grace_s(reply.interval_us),
            ends_at=clock.possibly_from(ends),
            operation=self._operation,
            missed=before is not None,
            generation=reply.generation,
            probe=reply.hold,
            own_probe=self.standing.barred == "failing_alone",
        )
        self._held[lease.token] = held
        self._start(held)

    async def _until_next(self, reply: TakeReply) -> None:
        """Sleep until a visit can bring something: a place, a turn, a job."""
        if (rest_s := self.standing.rest_s()) > 0:
            await self._rest(min(rest_s, POLL_S))
        elif self._busy and (reply.alone or self._suspects):
            await self._until_empty()
        elif self._busy >= self._settings.concurrency:
            await self._until_place_freed()
        elif reply.left or self._missed:
            await self._rest(min(reply.visit_us, reply.longest_us) / 1_000_000)
        else:
            self._turn_at = None
            due_s = IDLE_S if reply.due_us is None else reply.due_us / 1_000_000
            await self._wait_for_doorbell(min(IDLE_S, max(due_s, 0.01)))

    async def _until_place_freed(self) -> None:
        self._place_freed = anyio.Event()
        with anyio.move_on_after(POLL_S):
            await self._place_freed.wait()

    async def _until_empty(self) -> None:
        """Hold nothing: a suspect wants a worker to itself. A look now and then shows we live."""
        with anyio.move_on_after(POLL_S):
            while self._busy:
                await self._until_place_freed()

    async def _wait_for_doorbell(self, timeout_s: float) -> None:
        with anyio.CancelScope() as self._idle:
            if not self._draining.is_set():
                await self._jobs.wait_for_doorbell(timeout_s)

    async def _rest(self, seconds: float) -> None:
        if seconds > 0:
            with anyio.move_on_after(seconds):
                await self._draining.wait()

    def _gone(self, error: RedisError) -> None:
        if not self._away:
            self._log.warning("queue_unreachable", error=type(error).__name__)
        self._away = True

    def _back(self) -> None:
        if self._away:
            self._log.info("queue_reachable")
        self._away = False
