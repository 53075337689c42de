"""The workers' side of the queue: take, settle, release, retry."""

from collections.abc import Mapping, Sequence

import msgspec
from redis.exceptions import OutOfMemoryError, RedisError

from weighbridge.connection import RedisClient, read_values, results_apart
from weighbridge.exchange import Ending, Retention, TakeReply, TakeRequest
from weighbridge.keys import Keys
from weighbridge.records import Counted, Failed, Lease, encode_result
from weighbridge.scripts import Scripts

MAX_DEAD_LETTERS = 10_000


class Verdict(msgspec.Struct, frozen=True):
    """How a leased job ends."""

    lease: Lease
    result: Counted | Failed


class Jobs:
    """One worker's hands on the queue.

    Args:
        redis: repeats commands; for everything but ``take``.
        taking: never repeats a command.
    """

    def __init__(
        self,
        redis: RedisClient,
        taking: RedisClient,
        keys: Keys,
        scripts: Scripts,
        retention: Retention,
    ) -> None:
        self._redis = redis
        self._taking = taking
        self._keys = keys
        self._scripts = scripts
        self._retention = retention

    async def take(self, request: TakeRequest) -> TakeReply:
        """Visit the queue once."""
        return await self._scripts.take(self._taking, request)

    async def payloads(
        self, leases: Sequence[Lease], at_hand: Mapping[int, bytes]
    ) -> dict[int, bytes | None]:
        """Give the canonical bodies of leased jobs by token, None where one vanished.

        Args:
            at_hand: those that came along with the leases.
        """
        bodies: dict[int, bytes | None] = dict(at_hand)
        absent = [lease for lease in leases if not lease.verdict and lease.token not in at_hand]
        if absent:
            keys = [self._keys.payload(lease.digest) for lease in absent]
            texts = await read_values(self._redis, keys)
            bodies |= {lease.token: text for lease, text in zip(absent, texts, strict=True)}
        return bodies

    async def wait_for_doorbell(self, timeout_s: float) -> None:
        """Sleep until a submit rings or the time is over."""
        await self._taking.blpop([self._keys.doorbell], timeout=timeout_s)

    async def settle(self, verdicts: Sequence[Verdict]) -> int:
        """Write results and end their jobs; returns how many leases no longer held.

        The order matters: a waiter that is woken must find its result. One server does both in one
        step; a cluster keeps results elsewhere.
        """
        pending = [_ending(verdict) for verdict in verdicts]
        apart = results_apart(self._redis)
        if apart:
            await self._publish(pending)
        stale = 0
        while pending:
            statuses = await self._scripts.settle(
                self._redis,
                pending,
                self._retention,
                max_dead=MAX_DEAD_LETTERS,
                published=apart,
            )
            stale += statuses.count("stale")
            pending = [
                ending for ending, status in zip(pending, statuses, strict=True) if status == "more"
            ]
        return stale

    async def _publish(self, endings: Sequence[Ending]) -> None:
        """Write results: a failure never overwrites a count, a count overwrites a failure."""
        worth = await self._worth_publishing(endings)
        pipe = self._redis.pipeline(transaction=False)
        for ending in worth:
            failed = bool(ending.code)
            key = self._keys.result(ending.digest)
            pipe.set(key, ending.result, px=self._ttl_ms(failed), nx=failed)
        for ending, answer in zip(worth, await pipe.execute(raise_on_error=False), strict=True):
            if isinstance(answer, OutOfMemoryError):
                await self._publish_on_full_server(ending)
            elif isinstance(answer, Exception):
                raise answer

    async def _publish_on_full_server(self, ending: Ending) -> None:
        key, failed = self._keys.result(ending.digest), bool(ending.code)
        await self._scripts.publish(
            self._redis, key, ending.result, ttl_ms=self._ttl_ms(failed), failed=failed
        )

    def _ttl_ms(self, failed: bool) -> int:
        return self._retention.failed_ms if failed else self._retention.counted_ms

    async def _worth_publishing(self, endings: Sequence[Ending]) -> list[Ending]:
        """Leave out failures whose lease is lost: another worker has the job, and may count it."""
        failed = [ending for ending in endings if ending.code]
        if not failed:
            return list(endings)
        pipe = self._redis.pipeline(transaction=False)
        for ending in failed:
            pipe.hget(self._keys.job(ending.digest), "token")
            pipe.zscore(self._keys.leased, ending.digest)
        answers = await pipe.execute()
        lost = {
            ending.token
            for ending, token, leased in zip(failed, answers[::2], answers[1::2], strict=True)
            if leased is None or token is None or int(token) != ending.token
        }
        return [ending for ending in endings if ending.token not in lost]

    async def release(self, leases: Sequence[Lease], *, behind: bool = False) -> int:
        """Give jobs back unharmed; returns how many leases still held.

        Args:
            behind: put them behind their neighbours, so that others are tried first.
        """
        held = [(lease.digest, lease.token) for lease in leases]
        return await self._scripts.release(self._redis, held, behind=behind)

    async def retry(self, lease: Lease, delay_s: float) -> bool:
        """Give a job back with an attempt used; False if the lease no longer held."""
        delay_us = int(delay_s * 1_000_000)
        return await self._scripts.retry(self._redis, [(lease.digest, lease.token, delay_us)]) == 1

    async def leave(self, worker: str) -> None:
        """Take a worker off the list of the living; a failure only leaves that to its TTL."""
        try:
            pipe = self._redis.pipeline(transaction=False)
            pipe.zrem(self._keys.workers, worker)
            pipe.delete(self._keys.worker(worker))
            await pipe.execute()
        except RedisError:
            return


def _ending(verdict: Verdict) -> Ending:
    lease, result = verdict.lease, verdict.result
    text = encode_result(result)
    if isinstance(result, Failed):
        return Ending(lease.digest, lease.token, text, result.code, result.attempts)
    return Ending(lease.digest, lease.token, text, "")
