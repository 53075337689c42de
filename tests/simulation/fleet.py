"""A fleet of workers in virtual time, on the bucket's shipped Lua.

Each worker is modelled on the taker: one visit at a time, then the payloads, then a sleep until its
turn. A slot is used from its moment on and never later than the grace; a job that missed its slot
stays with its worker and is served first at the next visit; one that misses twice makes the worker
sit out. Between worker, server and endpoint there are trips, some of them held up. Times are µs.
"""

import math
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from simulation.actors import USUAL, Conditions, Permit, Record, Span, Worker
from simulation.endpoint import Endpoint
from simulation.events import MILLISECOND, SECOND, Events
from simulation.lua_bucket import LuaBucket, Visit

SERVER_DEPTH = 10
MAX_GRACE = 250 * MILLISECOND
MIN_GRACE = 10 * MILLISECOND
"""Below it no process could keep its slots, at rates whose endpoints forgive far more than ten."""

FIRST_SIT_OUT = SECOND / 10
MAX_SIT_OUT = 10 * SECOND
FIRST_PROBE = SECOND
MAX_PROBE = 60 * SECOND
"""Of a worker whose calls alone fail."""

UNLIMITED = 10**15


class Fleet:
    """Workers that share a bucket.

    Args:
        per_minute: the rate as set, and the endpoint's.
        places: calls a worker can have in hand; by default about twice what it needs.
        depth: the endpoint's bucket.
        jobs: in the queue at first.
    """

    def __init__(
        self,
        per_minute: int,
        workers: int,
        *,
        seed: int,
        depth: int = SERVER_DEPTH,
        places: int | None = None,
        jobs: int = UNLIMITED,
        conditions: Conditions = USUAL,
        bucket: LuaBucket | None = None,
    ) -> None:
        self.events = Events()
        self.bucket = bucket or LuaBucket(math.ceil(60 * SECOND / per_minute))
        self._depth = depth
        self.set_rate(per_minute)
        self.record = Record()
        self.jobs = jobs
        self.workers: list[Worker] = []
        self._conditions = conditions
        self._dice = random.Random(seed)
        self._places = places or max(32, int(per_minute / 60 * 0.6 / workers))
        self._server_free = 0.0
        self._seen: OrderedDict[int, float] = OrderedDict()
        self._idle: list[Worker] = []
        for _ in range(workers):
            self.join(within=50 * MILLISECOND)

    @property
    def now(self) -> float:
        """The moment."""
        return self.events.now

    def run(self, duration: float) -> None:
        """Let time pass."""
        self.events.run(self.now + duration)

    def set_rate(self, per_minute: int) -> None:
        """Change the limit, on both sides, as an operator does."""
        self.interval = math.ceil(60 * SECOND / per_minute)
        self.grace = max(MIN_GRACE, min(MAX_GRACE, SERVER_DEPTH / 2 * self.interval))
        self.endpoint = Endpoint(self.events, per_minute, self._depth)
        self.bucket.store("interval", self.interval)
        self.bucket.store("turn", 0)

    def join(self, within: float = 0.0) -> Worker:
        """Start a worker."""
        worker = Worker(self._places)
        self.workers.append(worker)
        self._plan(worker, self.now + self._dice.random() * within)
        return worker

    def kill(self, worker: Worker) -> None:
        """End a worker without a word; its slots and jobs die with it."""
        worker.dead = True

    def stop(self, worker: Worker, duration: float) -> None:
        """Let a worker stand still, as SIGSTOP and a blocked event loop do."""
        worker.stopped_until = self.now + duration

    def submit(self, jobs: int) -> None:
        """Add jobs and ring once."""
        self.jobs += jobs
        self._ring()

    def _between(self, span: Span) -> float:
        return span[0] + (span[1] - span[0]) * self._dice.random()

    def _one_way(self) -> float:
        trip = self._between(self._conditions.round_trip) / 2
        if self._dice.random() < self._conditions.stall:
            trip += self._between(self._conditions.stall_time)
        return trip

    def _away(self, event: Callable[..., None], worker: Worker, *args: Any) -> bool:
        """Say whether the worker cannot act now; one that is stopped acts when it goes on."""
        if worker.stopped_until > self.now and not worker.dead:
            self.events.at(worker.stopped_until, event, worker, *args)
            return True
        return worker.dead

    # a worker's loop

    def _plan(self, worker: Worker, time: float) -> None:
        worker.planned = time
        self.events.at(time + self._between(self._conditions.timer), self._visit, worker, time)

    def _visit(self, worker: Worker, planned: float) -> None:
        if worker.planned != planned or self._away(self._visit, worker, planned):
            return
        if worker.sits_out_until > self.now:
            self._plan(worker, worker.sits_out_until)
        elif worker.busy - worker.held >= worker.places:
            worker.full = True
        else:
            worker.operation += 1
            left = None if worker.due is None else int(worker.due - self.now)
            self.events.at(self.now + self._one_way(), self._serve, worker, self.now, left)

    def _serve(self, worker: Worker, asked: float, left: int | None) -> None:
        """Run the script; the server does one thing at a time."""
        now = math.ceil(max(self.now, self._server_free))
        places = 1 if worker.lone else worker.places
        want = max(0, min(places - worker.busy, self.jobs)) + worker.held
        living, calls = self._living(worker, now), worker.outcomes.report()
        visit = self.bucket.visit(
            now, living, left, want, calls, worker=id(worker), lone=worker.lone
        )
        again = min(worker.held, len(visit.slots))
        fresh = len(visit.slots) - again
        worker.held -= again
        worker.busy += fresh
        self.jobs -= fresh
        self.record.visits += 1
        self._server_free = now + 50 + 8 * len(visit.slots)
        empty = self.jobs <= 0
        if not empty:
            self._ring()
        back = self._server_free + self._one_way()
        self.events.at(back, self._reply, worker, asked, now, visit, again, empty)

    def _living(self, worker: Worker, now: float) -> int:
        self._seen[id(worker)] = now
        self._seen.move_to_end(id(worker))
        while next(iter(self._seen.values())) < now - self._conditions.seen_for:
            self._seen.popitem(last=False)
        return len(self._seen)

    def _reply(
        self, worker: Worker, asked: float, read: int, visit: Visit, again: int, empty: bool
    ) -> None:
        if self._away(self._reply, worker, asked, read, visit, again, empty):
            return
        clock = worker.clock
        clock.learn(asked_at=asked, read=read, replied_at=self.now)
        worker.outcomes.follow(visit.generation)
        self._judged(worker, visit)
        fetched = self.now
        if visit.slots:
            fetched += self._one_way() + self._one_way()
        for index, slot in enumerate(visit.slots):
            starts = clock.surely_from(slot)
            late = starts + self.grace
            permit = Permit(
                late,
                visit.generation,
                worker.operation,
                index < again,
                bool(visit.hold),
                worker.lone,
            )
            self.events.at(max(starts, fetched), self._begin, worker, permit)
        self.events.at(fetched, self._sleep, worker, visit, empty, self.now)

    def _judged(self, worker: Worker, visit: Visit) -> None:
        if visit.failing == "fleet":
            self.record.holds.append(self.now)
        if visit.failing == "worker" and not worker.lone:
            worker.lone = True
            worker.alone += 1
            self._rest(worker, FIRST_PROBE)

    def _rest(self, worker: Worker, wait: float) -> None:
        """Stay away until the next probe of one's own."""
        worker.probe_wait = wait
        worker.sits_out_until = self.now + wait

    def _sleep(self, worker: Worker, visit: Visit, empty: bool, replied: float) -> None:
        if self._away(self._sleep, worker, visit, empty, replied):
            return
        if empty and not worker.held:
            worker.due = None
            self._idle.append(worker)
            return
        worker.due = replied + visit.wait
        self._plan(worker, max(self.now, min(worker.due, replied + visit.longest_sleep)))

    def _ring(self) -> None:
        while self._idle:
            worker = self._idle.pop(0)
            if not worker.dead:
                self._plan(worker, self.now + self._one_way())
                return

    # a call

    def _begin(self, worker: Worker, permit: Permit) -> None:
        if self._away(self._begin, worker, permit):
            return
        if self.now > permit.late:
            self._miss(worker, permit)
            return
        worker.attempts += 1
        self.record.attempts.append(self.now)
        arrives = self.now + self._between(self._conditions.uplink)
        self.events.at(arrives, self._arrive, worker, permit)

    def _miss(self, worker: Worker, permit: Permit) -> None:
        worker.held += 1
        self.record.missed += 1
        if permit.again and permit.operation > worker.missed_in:
            worker.missed_in = permit.operation
            sits_out = min(MAX_SIT_OUT, FIRST_SIT_OUT * 2.0**worker.misses)
            worker.sits_out_until = self.now + sits_out
            worker.misses += 1

    def _arrive(self, worker: Worker, permit: Permit) -> None:
        failing = self.endpoint.failing
        pause = None
        failed = worker.broken or (failing > 0 and self._dice.random() < failing)
        if failed:
            self.record.failed.append(self.now)
        elif not self.endpoint.passes():
            self.record.refused.append(self.now)
            pause = self.endpoint.retry_after()
        answered = self.now + self._between(self._conditions.answer)
        self.events.at(answered, self._answered, worker, permit, pause, failed)

    def _answered(self, worker: Worker, permit: Permit, pause: int | None, failed: bool) -> None:
        if self._away(self._answered, worker, permit, pause, failed):
            return
        if pause is not None:
            self.jobs += 1
            self.events.at(self.now + self._one_way(), self._penalise, pause, permit.generation)
        else:
            self.jobs += failed
            worker.outcomes.note(permit.generation, failed=failed)
            if not failed and worker.lone:
                worker.lone, worker.sits_out_until = False, 0.0
            if failed and permit.own_probe and worker.sits_out_until <= self.now:
                self._rest(worker, min(MAX_PROBE, worker.probe_wait * 2))
            if permit.probe and not failed:
                self.events.at(self.now + self._one_way(), self._probed)
        worker.busy -= 1
        if permit.operation >= worker.missed_in:
            worker.misses = 0
        if worker.full:
            worker.full = False
            self._plan(worker, self.now)

    def _probed(self) -> None:
        self.bucket.probed(math.ceil(self.now))

    def _penalise(self, pause: int, generation: int) -> None:
        self.bucket.penalise(math.ceil(self.now), pause, generation)
