"""A look at the whole pool: depth, workers, rate."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from weighbridge.bucket import Bucket, BucketState
from weighbridge.connection import TIME, RedisClient, clock_us, queue_errors, walk
from weighbridge.figures import NO_FIGURES, WorkerFigures, read_figures
from weighbridge.keys import Keys
from weighbridge.newest_letters import NEWEST, NewestLetters
from weighbridge.records import Lane

ALIVE_US = 30_000_000
"""A worker that has not visited for so long is taken for dead."""

SCAN_ROUNDS = 100
"""Thousands of keys that a look at the cache walks through before it gives up counting."""


RECENT_MS = 300_000
"""Dead letters younger than five minutes are recent."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A living worker: id, version, calls at once, how it stands, seconds since its last visit.

    Args:
        state: ``taking``; ``sitting_out``, for it kept missing slots; ``key_refused``;
            ``failing_alone``, while others' calls are answered; or empty, if it does not say.
        figures: what it has done since its start, some seconds old.
    """

    worker: str
    version: str
    concurrency: int
    state: str
    seen_s: float
    figures: WorkerFigures = NO_FIGURES


@dataclass(frozen=True, slots=True)
class Depth:
    """What lies in the queue; numbers are of jobs, but for the inbox's entries.

    Args:
        queue_bytes: of the live jobs' payloads.
    """

    interactive: int
    batch: int
    leased: int
    later: int
    queue_bytes: int
    dead: int
    inbox: int


@dataclass(frozen=True, slots=True)
class PoolState:
    """What ``weighbridge status`` shows; numbers are of jobs.

    Args:
        queue_bytes: of the live jobs' payloads.
        dead_codes: why the newest dead letters failed, the most frequent first, 1,000 at most.
        dead_recent: why those among them failed that are no older than five minutes.
        cached: results in the cache; None if there were too many to walk through, or nobody did.
    """

    interactive: int
    batch: int
    leased: int
    later: int
    queue_bytes: int
    dead: int
    dead_codes: dict[str, int]
    inbox: int
    limit: BucketState
    cached: int | None
    scope: dict[str, str]
    workers: tuple[WorkerState, ...]
    dead_recent: dict[str, int] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Live jobs."""
        return self.interactive + self.batch + self.leased + self.later


class Admin:
    """One namespace, seen from outside."""

    def __init__(self, redis: RedisClient, keys: Keys, bucket: Bucket) -> None:
        self._redis = redis
        self._keys = keys
        self._bucket = bucket
        self._newest = NewestLetters()

    async def depth(self) -> Depth:
        """Read what lies in the queue, with no more rights than a worker has.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        with queue_errors():
            return _depth(await self._depth_pipeline().execute())

    async def limit(self) -> BucketState:
        """Read how the limit stands.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        with queue_errors():
            return await self._bucket.inspect()

    async def ping(self) -> None:
        """Ask whether the server answers.

        Raises:
            QueueUnreachable: it does not.
        """
        with queue_errors():
            await self._redis.ping()

    async def inspect(self, *, count_cached: bool = True) -> PoolState:
        """Read the pool's state; the cost does not grow with the queue.

        Args:
            count_cached: walk through the cache too, which takes the right to SCAN.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        with queue_errors():
            pipe = self._depth_pipeline()
            pipe.xrevrange(self._keys.dead, min=self._newest.unread, count=NEWEST)
            pipe.hgetall(self._keys.scope)
            pipe.zrange(self._keys.workers, 0, -1, withscores=True)
            pipe.eval(TIME, 1, self._keys.bucket)
            *numbers, letters, scope, visits, clock = await pipe.execute()
            depth = _depth(numbers)
            now = clock_us(clock)
            if not self._newest.add(letters, depth.dead):
                whole: Any = await self._redis.xrevrange(self._keys.dead, count=NEWEST)
                self._newest.add(whole, depth.dead)
            return PoolState(
                interactive=depth.interactive,
                batch=depth.batch,
                leased=depth.leased,
                later=depth.later,
                queue_bytes=depth.queue_bytes,
                dead=depth.dead,
                dead_codes=self._newest.codes(),
                dead_recent=self._newest.codes(since_ms=now // 1000 - RECENT_MS),
                inbox=depth.inbox,
                limit=await self._bucket.inspect(),
                cached=await self._cached() if count_cached else None,
                scope={name.decode(): value.decode() for name, value in scope.items()},
                workers=await self._workers(visits, now),
            )

    async def fleet(self) -> tuple[tuple[WorkerState, ...], BucketState]:
        """Read the living workers and the limit alone, as any role may.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        with queue_errors():
            pipe = self._redis.pipeline(transaction=False)
            pipe.zrange(self._keys.workers, 0, -1, withscores=True)
            pipe.eval(TIME, 1, self._keys.bucket)
            visits, clock = await pipe.execute()
            workers = await self._workers(visits, clock_us(clock))
            return workers, await self._bucket.inspect()

    def _depth_pipeline(self) -> Any:
        pipe = self._redis.pipeline(transaction=False)
        pipe.zcard(self._keys.ready(Lane.INTERACTIVE))
        pipe.zcard(self._keys.ready(Lane.BATCH))
        pipe.zcard(self._keys.leased)
        pipe.zcard(self._keys.later)
        pipe.hget(self._keys.bytes, "sum")
        pipe.xlen(self._keys.dead)
        pipe.xlen(self._keys.inbox)
        return pipe

    async def _cached(self) -> int | None:
        found = rounds = 0
        async with aclosing(walk(self._redis, self._keys.any_result, count=1000)) as pages:
            async for page in pages:
                if rounds == SCAN_ROUNDS:
                    return None
                found, rounds = found + len(page), rounds + 1
        return found

    async def _workers(
        self, visits: list[tuple[bytes, float]], now: int
    ) -> tuple[WorkerState, ...]:
        living = [(worker.decode(), now - seen) for worker, seen in visits if now - seen < ALIVE_US]
        pipe = self._redis.pipeline(transaction=False)
        for worker, _ in living:
            pipe.hmget(self._keys.worker(worker), ["version", "concurrency", "state", "figures"])
        rows = await pipe.execute() if living else []
        return tuple(
            WorkerState(
                worker=worker,
                version=version.decode(),
                concurrency=int(concurrency or 0),
                state=(state or b"").decode(),
                seen_s=age / 1_000_000,
                figures=read_figures(figures),
            )
            for (worker, age), (version, concurrency, state, figures) in zip(
                living, rows, strict=True
            )
            if version  # those who draw permits for calls of their own are no workers
        )


def _depth(numbers: Sequence[Any]) -> Depth:
    interactive, batch, leased, later, queue_bytes, dead, inbox = numbers
    return Depth(interactive, batch, leased, later, int(queue_bytes or 0), dead, inbox)
