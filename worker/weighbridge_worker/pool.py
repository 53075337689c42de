"""One worker: intake, taker, executors and settler in one task group; start, drain, stop."""

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

import anyio
from anyio.abc import TaskGroup, TaskStatus
from opentelemetry.trace import Tracer
from redis.exceptions import RedisError
from structlog.typing import FilteringBoundLogger

from weighbridge.admin import Admin
from weighbridge.bucket import Bucket, interval_us
from weighbridge.connection import RedisClient, connect, connect_unrepeated, queue_errors
from weighbridge.errors import ScopeMismatch
from weighbridge.figures import WorkerFigures
from weighbridge.jobs import Jobs
from weighbridge.keys import Keys
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings
from weighbridge_worker.calls import Counter, KeyRefused, PassingFailure
from weighbridge_worker.ceiling import Ceiling
from weighbridge_worker.crew import GIVE_BACK_S, Crew
from weighbridge_worker.executor import Executor, HeldLease
from weighbridge_worker.feedback import Feedback
from weighbridge_worker.followup import FollowUp
from weighbridge_worker.health import HealthFacts, HealthReport, judge
from weighbridge_worker.intake import Intake
from weighbridge_worker.measured_counter import MeasuredCounter
from weighbridge_worker.reporter import Reporter
from weighbridge_worker.scope_keeper import ScopeKeeper
from weighbridge_worker.settings import WorkerSettings
from weighbridge_worker.settler import Settler
from weighbridge_worker.spans import Spans
from weighbridge_worker.starter import Starter
from weighbridge_worker.taker import Taker
from weighbridge_worker.taker_settings import TakerSettings
from weighbridge_worker.tally import Tally
from weighbridge_worker.traced import traced_counter, traced_executor

PATIENCE = 7
"""Failed probes in a row, about a minute, after which a worker leaves that may."""

ASK_S = 0.5
"""How long a look at the fleet may hold up the answer to a health probe."""


class Pool:
    """A worker's life: ``run`` until ``drain``, at once by ``stop``."""

    def __init__(
        self,
        queue: QueueSettings,
        worker: WorkerSettings,
        counter: Counter,
        redis: RedisClient,
        unrepeated: RedisClient,
        scope: dict[str, str],
        spans: Spans | None,
        log: FilteringBoundLogger,
        *,
        leaves_if_refused: bool,
    ) -> None:
        name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        keys = Keys(queue.namespace)
        scripts = Scripts(keys)
        self._worker = worker
        self._name = name
        self._leaves_if_refused = leaves_if_refused
        self._log = log.bind(worker=name)
        self._scope = ScopeKeeper(redis, scripts, queue.namespace, scope, self._leave, self._log)
        self._draining = anyio.Event()
        self._stopping = anyio.CancelScope()
        self._settling: TaskGroup = anyio.create_task_group()
        self._refused: KeyRefused | PassingFailure | ScopeMismatch | None = None
        self._failed_probes = 0
        self._jobs = Jobs(redis, unrepeated, keys, scripts, worker.retention)
        self._bucket = Bucket(redis, keys, scripts, rpm=worker.rate)
        self.admin = Admin(redis, keys, self._bucket)
        """This worker's own look at the pool."""
        self._tally = Tally()
        self._settler = Settler(self._jobs, self._tally, lambda: self._taker.in_flight, self._log)
        ceiling = Ceiling(interval_us(worker.rate))
        self._starter = Starter(ceiling, self._draining, self._start)
        self._intake = Intake(
            redis,
            unrepeated,
            keys,
            scripts,
            queue,
            self._draining,
            self._tally,
            self._log,
            worker=name,
            reply_ttl_ms=worker.retention.reply_ms,
        )
        self._taker = Taker(
            self._jobs,
            TakerSettings(
                worker=name,
                version=version("weighbridge"),
                concurrency=worker.concurrency,
                lease_s=worker.lease_s,
                interval_us=interval_us(worker.rate),
            ),
            ceiling,
            self._draining,
            self._starter.expect,
            self._log,
        )
        executor = Executor(
            traced_counter(MeasuredCounter(counter, self._tally), spans),
            self._draining,
            self._taker.met,
            self._log,
            max_attempts=worker.max_attempts,
        )
        follow_up = FollowUp(
            self._jobs,
            self._bucket,
            self._settler,
            self._taker,
            Feedback(self._bucket, self._log, rpm=worker.rate),
            self._tally,
            self._key_refused,
            self._probed,
            self._log,
        )
        self._crew = Crew(
            traced_executor(executor, spans).decide,
            follow_up.carry_out,
            self._taker.finished,
            self._log,
        )
        self._reporter = Reporter(redis, scripts, self._tally, self._draining, worker=name)

    def drain(self) -> None:
        """Take no more, finish what is in flight, then let ``run`` return."""
        if not self._draining.is_set():
            self._log.info("draining", in_flight=self._taker.in_flight)
            now = anyio.current_time()
            # Calls in flight get the drain; what follows, on a server that may hang, the rest of
            # the grace, but for taking leave.
            self._stopping.deadline = now + self._worker.drain_s
            self._settling.cancel_scope.deadline = now + max(
                self._worker.drain_s, self._worker.grace_s - 2 * GIVE_BACK_S
            )
        self._draining.set()
        self._scope.end()
        self._taker.wake()
        self._starter.wake()
        self._intake.wake()

    def figures(self) -> WorkerFigures:
        """Return what this worker has done since its start."""
        return self._tally.figures()

    async def health(self) -> HealthReport:
        """Judge this worker by what it was seen to do."""
        taker, settler = self._taker, self._settler
        facts = HealthFacts(
            turned_at=taker.turned_at,
            taken_at=taker.taken_at,
            settled_at=settler.settled_at,
            unsettled_since=settler.unsettled_since,
            in_flight=taker.in_flight,
            draining=self._draining.is_set(),
            barred=taker.standing.barred,
            sit_out_s=taker.standing.sit_out_s,
            hold=taker.hold,
            paused=await self._paused(),
        )
        return judge(facts, anyio.current_time())

    async def _paused(self) -> bool:
        """Ask whether an operator holds the fleet; a server that is away tells nothing."""
        with anyio.move_on_after(ASK_S), suppress(RedisError):
            return (await self._bucket.inspect()).paused
        return False

    def stop(self) -> None:
        """Give every lease back at once, then let ``run`` return."""
        self.drain()
        self._stopping.cancel()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Work until drained; started once the queue has been reached.

        Raises:
            QueueUnreachable: the server does not answer at the start.
            ScopeMismatch: the namespace holds counts that depend on other settings, at the start or
                since; its jobs were given back or ended.
            KeyRefused: the endpoint does not accept this worker's key; its jobs were given back.
            PassingFailure: most calls fail, for a minute by now; its jobs were given back.
        """
        with queue_errors():
            await self._scope.claim()
            limit = await self._bucket.offer(slow_start=self._worker.slow_start)
        rpm = 60_000_000 // limit.interval_us
        self._log.info("started", rpm=rpm, concurrency=self._worker.concurrency)
        async with self._settling:
            self._settling.start_soon(self._settler.run)
            with self._stopping:
                async with anyio.create_task_group() as tasks:
                    await tasks.start(self._crew.run)
                    task_status.started()
                    tasks.start_soon(self._intake.run)
                    tasks.start_soon(self._reporter.run)
                    tasks.start_soon(self._scope.run)
                    tasks.start_soon(self._starter.run)
                    await self._taker.run()
                    self._crew.dismiss()
                    # Leaving the group waits for the calls in flight, for as long as a drain may.
            await self._taker.give_back()
            self._settler.close()
        if self._settling.cancel_scope.cancelled_caught:
            self._log.error("drain_cut", in_flight=self._taker.in_flight)
        with anyio.move_on_after(GIVE_BACK_S):
            await self._jobs.leave(self._name)
        self._log.info("stopped")
        if self._refused is not None:
            raise self._refused

    def _leave(self, reason: KeyRefused | PassingFailure | ScopeMismatch) -> None:
        """Drain, and let ``run`` raise the reason."""
        self._refused = reason
        self.drain()

    def _start(self, held: HeldLease) -> None:
        self._crew.start(held)

    def _key_refused(self, code: str, message: str) -> None:
        if self._leaves_if_refused:
            self._leave(KeyRefused(code, message))
        else:
            self._taker.key_refused(code)

    def _probed(self, failure: PassingFailure | None) -> None:
        self._failed_probes = self._failed_probes + 1 if failure else 0
        if failure and self._leaves_if_refused and self._failed_probes >= PATIENCE:
            self._leave(
                PassingFailure(
                    failure.failure_code,
                    f"most calls to the endpoint fail: {failure}; what was counted is kept, start"
                    " again when it is well",
                )
            )


@asynccontextmanager
async def open_pool(
    queue: QueueSettings,
    worker: WorkerSettings,
    counter: Counter,
    scope: dict[str, str],
    log: FilteringBoundLogger,
    *,
    leaves_if_refused: bool = False,
    tracer: Tracer | None = None,
) -> AsyncIterator[Pool]:
    """Make a pool with connections of its own, and close them.

    Args:
        leaves_if_refused: end with ``KeyRefused`` where the endpoint refuses the key, with
            ``PassingFailure`` where most calls fail for a minute; otherwise the worker stays away
            from the queue but for a probe, until the key is accepted, the endpoint well again.
        tracer: makes the spans; without one there are none.
    """
    redis, unrepeated = connect(queue.redis_url), connect_unrepeated(queue.redis_url)
    spans = Spans(tracer, queue.namespace, worker.base_url) if tracer is not None else None
    try:
        yield Pool(
            queue,
            worker,
            counter,
            redis,
            unrepeated,
            scope,
            spans,
            log,
            leaves_if_refused=leaves_if_refused,
        )
    finally:
        with anyio.move_on_after(GIVE_BACK_S, shield=True):
            await redis.aclose()
            await unrepeated.aclose()
