"""A look at the whole pool: depth, workers, rate."""

from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass

from weighbridge.bucket import Bucket, BucketState
from weighbridge.connection import TIME, RedisClient, clock_us, queue_errors, walk
from weighbridge.keys import Keys
from weighbridge.records import Lane

ALIVE_US = 30_000_000
"""A worker that has not visited for so long is taken for dead."""

SCAN_ROUNDS = 100
"""Thousands of keys that a look at the cache walks through before it gives up counting."""


NEWEST_DEAD = 1000
"""Dead letters whose codes a look counts."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A living worker: id, version, calls at once, how it stands, seconds since its last visit.

    Args:
        state: ``taking``; ``sitting_out``, for it kept missing slots; ``key_refused``; or empty, if
            it does not say.
    """

    worker: str
    version: str
    concurrency: int
    state: str
    seen_s: float


@dataclass(frozen=True, slots=True)
class PoolState:
    """What ``weighbridge status`` shows; numbers are of jobs.

    Args:
        queue_bytes: of the live jobs' payloads.
        dead_codes: why the newest dead letters failed, the most frequent first, 1,000 at most.
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

    async def inspect(self, *, count_cached: bool = True) -> PoolState:
        """Read the pool's state; the cost does not grow with the queue.

        Args:
            count_cached: walk through the cache too, which takes the right to SCAN.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        with queue_errors():
            pipe = self._redis.pipeline(transaction=False)
            pipe.zcard(self._keys.ready(Lane.INTERACTIVE))
            pipe.zcard(self._keys.ready(Lane.BATCH))
            pipe.zcard(self._keys.leased)
            pipe.zcard(self._keys.later)
            pipe.hget(self._keys.bytes, "sum")
            pipe.xlen(self._keys.dead)
            pipe.xlen(self._keys.inbox)
            pipe.xrevrange(self._keys.dead, count=NEWEST_DEAD)
            pipe.hgetall(self._keys.scope)
            pipe.zrange(self._keys.workers, 0, -1, withscores=True)
            pipe.eval(TIME, 1, self._keys.bucket)
            *numbers, letters, scope, visits, clock = await pipe.execute()
            interactive, batch, leased, later, queue_bytes, dead, inbox = numbers
            now = clock_us(clock)
            return PoolState(
                interactive=interactive,
                batch=batch,
                leased=leased,
                later=later,
                queue_bytes=int(queue_bytes or 0),
                dead=dead,
                dead_codes=dict(
                    Counter(fields[b"code"].decode() for _, fields in letters).most_common()
                ),
                inbox=inbox,
                limit=await self._bucket.inspect(),
                cached=await self._cached() if count_cached else None,
                scope={name.decode(): value.decode() for name, value in scope.items()},
                workers=await self._workers(visits, now),
            )

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
            pipe.hmget(self._keys.worker(worker), ["version", "concurrency", "state"])
        rows = await pipe.execute() if living else []
        return tuple(
            WorkerState(
                worker=worker,
                version=version.decode(),
                concurrency=int(concurrency or 0),
                state=(state or b"").decode(),
                seen_s=age / 1_000_000,
            )
            for (worker, age), (version, concurrency, state) in zip(living, rows, strict=True)
            if version  # those who draw permits for calls of their own are no workers
        )
