"""Visits the queue when a place is free and its turn has come, and starts what it is given.

Its moods: taking, no more slots at once than it keeps; idle, until the doorbell; sitting out, when
it misses even one at a time, for the machine is too busy to keep them; barred but for a probe, when
the endpoint refuses its key, or its calls fail while others' are answered.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from anyio.lowlevel import checkpoint
from redis.exceptions import RedisError
from structlog.typing import FilteringBoundLogger

from weighbridge.connection import POLL_S
from weighbridge.exchange import TakeReply, TakeRequest
from weighbridge.grace import grace_s
from weighbridge.jobs import Jobs
from weighbridge.loop_clock import loop_time
from weighbridge.records import Lease
from weighbridge.server_clock import ServerClock
from weighbridge_worker.ceiling import Ceiling
from weighbridge_worker.executor import Draining, HeldLease
from weighbridge_worker.leases import Leases
from weighbridge_worker.outcomes import Outcomes
from weighbridge_worker.standing import Standing
from weighbridge_worker.taker_settings import TakerSettings
from weighbridge_worker.waits import Waits
from weighbridge_worker.window import Window

EARLY_US = 500
"""A turn that is nearer than this has come."""

IDLE_S = 8.0
"""The longest wait on the doorbell. Ten seconds without a visit look like an outage to take.lua."""

LOST = "lost"
"""The verdict on a held job that another worker has by now; the word stands in take.lua too."""


class Taker:
    """One worker's only visitor of the queue.

    Args:
        start: begins the work on a lease at its slot; the taker is told by ``met`` or ``missed``
            whether the slot was used, and by ``finished`` when the place is free.
    """

    def __init__(
        self,
        jobs: Jobs,
        settings: TakerSettings,
        ceiling: Ceiling,
        draining: Draining,
        start: Callable[[HeldLease], Awaitable[None]],
        log: FilteringBoundLogger,
    ) -> None:
        self._jobs = jobs
        self._settings = settings
        self._ceiling = ceiling
        self._draining = draining
        self._start = start
        self._log = log
        self._leases = Leases()
        self._window = Window(settings.concurrency)
        self.standing = Standing()
        self._outcomes = Outcomes()
        self._server_clock = ServerClock()
        self._waits = Waits(jobs, draining)
        self._operation = 0
        self._confirmed = 0
        self._turn_at: float | None = None
        self._interval_us = settings.interval_us
        self._away = False
        self.turned_at = loop_time()
        """When the last turn of ``run`` began."""
        self.taken_at: float | None = None
        """When the queue last answered a visit."""
        self.hold = ""
        """Why the fleet holds, by that answer, or empty."""

    @property
    def in_flight(self) -> int:
        """Leases in this process."""
        return len(self._leases)

    def heard(self, held: HeldLease, *, failed: bool) -> None:
        """Note for the next visit whether the endpoint failed a call, or answered it."""
        self._outcomes.note(held.generation, failed=failed)
        if held.own_probe and failed:
            self.standing.bar("failing_alone")
        if not failed and self.standing.unbar("failing_alone"):
            self._log.info("answered_again")

    def met(self, held: HeldLease) -> None:
        """Note a slot that is used: the call begins."""
        self.standing.met(held.operation)
        self._window.met(held.lease.token)
        self._waits.tell()

    def finished(self, held: HeldLease) -> None:
        """Free a lease's place."""
        self._leases.end(held.lease.token)
        self._window.given_up(held.lease.token)
        self._waits.tell()

    def missed(self, held: HeldLease) -> None:
        """Keep a job whose slot was missed, with its payload, for the next visit."""
        self._leases.miss(held)
        least = self._window.missed(
            held.lease.token, operation=held.operation, newest=self._operation
        )
        if held.missed and least:
            self.standing.missed_again(held.operation)
        self._waits.wake()

    def key_refused(self, code: str) -> None:
        """Take no more than a probe until the endpoint accepts our key.

        The endpoint's own words are not logged: they may repeat the payload. ``weighbridge probe``
        shows them.
        """
        if self.standing.bar("key_refused"):
            self._log.error("key_refused", code=code)
            self._waits.wake()

    def key_accepted(self) -> None:
        """Take again."""
        if self.standing.unbar("key_refused"):
            self._log.info("key_accepted")

    def wake(self) -> None:
        """End a wait, so that a drain need not sit it out."""
        self._waits.wake()

    async def run(self) -> None:
        """Take until the drain; then give back what missed its slot."""
        while not self._draining.is_set():
            self.turned_at = loop_time()
            try:
                reply = await self._visit()
                self._back()
                if reply.leases:
                    await checkpoint()  # what is due calls before we look further
                await self._until_next(reply)
            except RedisError as error:
                self._gone(error)
                await self._waits.rest(random.uniform(0.1, 1.0))  # noqa: S311 - jitter
        await self._give_back_safely(self._leases.missed)

    async def give_back(self) -> None:
        """Release what is left here once no call runs any more; it ends by itself otherwise."""
        await self._give_back_safely(self._leases.all)

    async def _give_back_safely(self, leases: Sequence[HeldLease]) -> None:
        with suppress(RedisError):
            await self._release(leases)

    async def _release(self, leases: Sequence[HeldLease]) -> None:
        if leases:
            self._leases.end_all(leases)
            await self._jobs.release([held.lease for held in leases])

    async def _visit(self) -> TakeReply:
        # What missed its slot beyond what this worker can use goes to others.
        await self._release(self._leases.missed[self._window.size :])
        self._operation += 1
        requested_at = loop_time()
        reply = await self._jobs.take(self._request(requested_at))
        self.taken_at = replied_at = loop_time()
        self.hold = reply.hold
        read = reply.now_us / 1_000_000
        self._server_clock.learn(asked_at=requested_at, read=read, replied_at=replied_at)
        fresh = [lease for lease in reply.leases if not self._leases.waits(lease.token)]
        body_of = await self._jobs.payloads(fresh, reply.payloads)
        # Confirmed only now: what a lost reply or a failed read granted is taken back, unharmed.
        self._confirmed = self._operation
        self._turn_at = replied_at + reply.visit_us / 1_000_000
        self._interval_us = reply.interval_us
        self._outcomes.follow(reply.generation)
        self._judged(reply)
        self._ceiling.follow(reply.interval_us)
        if reply.leases:
            self.standing.began(loop_time() - requested_at)
        for lease in reply.leases:
            await self._begin(lease, body_of, reply)
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
        room = 0 if resting else self._window.room
        held = self._leases.missed[:room]
        return TakeRequest(
            worker=settings.worker,
            operation=self._operation,
            confirmed=self._confirmed,
            want=max(0, min(places - len(self._leases), room - len(held))),
            lease_us=int(settings.lease_s * 1_000_000),
            interval_us=settings.interval_us,
            suspects=self._leases.suspects,
            version=settings.version,
            concurrency=settings.concurrency,
            state=self.standing.state,
            turn_us=0 if turn_us is not None and turn_us < EARLY_US else turn_us,
            in_flight=self._leases.busy,
            lead_us=int(self.standing.lead_s(grace_s(self._interval_us)) * 1_000_000),
            calls=self._outcomes.report(),
            held=tuple((one.lease.digest, one.lease.token) for one in held),
        )

    async def _begin(
        self, lease: Lease, body_of: dict[int, bytes | None], reply: TakeReply
    ) -> None:
        before = self._leases.missed_before(lease)
        if lease.verdict == LOST:
            self._leases.end(lease.token)
            return
        clock = self._server_clock
        slot_at = clock.surely_from((reply.now_us + lease.slot_us) / 1_000_000)
        ends = (reply.now_us + lease.ends_us) / 1_000_000
        held = HeldLease(
            lease,
            before.body if before is not None else body_of.get(lease.token),
            slot_at=slot_at,
            forfeit_at=slot_at + grace_s(reply.interval_us),
            ends_at=clock.possibly_from(ends),
            operation=self._operation,
            missed=before is not None,
            generation=reply.generation,
            probe=reply.hold,
            own_probe=self.standing.barred == "failing_alone",
        )
        self._leases.begin(held)
        if held.calls:
            self._window.granted(lease.token)
        await self._start(held)

    async def _until_next(self, reply: TakeReply) -> None:
        """Sleep until a visit can bring something: a place, a turn, a job."""
        if (rest_s := self.standing.rest_s()) > 0:
            await self._waits.rest(min(rest_s, POLL_S))
        elif self._leases.busy and (reply.alone or self._leases.suspects):
            # Hold nothing: a suspect wants a worker to itself.
            await self._waits.until(lambda: not self._leases.busy)
        elif reply.left or self._leases.missed:
            if self._window.room:
                # Before its turn there is no slot; what has come free by then takes one visit.
                await self._waits.rest(min(reply.visit_us, reply.longest_us) / 1_000_000)
            else:
                await self._waits.until(self._window_opens)
            await self._waits.until(self._has_place)
        elif self._leases.busy >= self._settings.concurrency:
            await self._waits.until(self._has_place)
        else:
            self._turn_at = None
            due_s = IDLE_S if reply.due_us is None else reply.due_us / 1_000_000
            await self._waits.for_doorbell(min(IDLE_S, max(due_s, 0.01)))

    def _has_place(self) -> bool:
        return self._leases.busy < self._settings.concurrency and self._window.room > 0

    def _window_opens(self) -> bool:
        """Half of the slots ahead are met: more often would be a visit a slot."""
        return self._window.room >= max(1, self._window.size // 2)

    def _gone(self, error: RedisError) -> None:
        if not self._away:
            self._log.warning("queue_unreachable", error=type(error).__name__)
        self._away = True

    def _back(self) -> None:
        if self._away:
            self._log.info("queue_reachable")
        self._away = False
