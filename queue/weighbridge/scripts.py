"""The queue protocol's Lua scripts, one typed function each.

Every script is idempotent, because redis-py may send one twice.
"""

from collections.abc import Sequence

from weighbridge.connection import Command, RedisClient
from weighbridge.exchange import (
    Cancelled,
    Ending,
    LimitAction,
    LimitReply,
    PermitReply,
    Retention,
    Settled,
    Submission,
    SubmitReply,
    TakeReply,
    TakeRequest,
)
from weighbridge.keys import Keys
from weighbridge.records import Lane
from weighbridge.script import Arg, Script
from weighbridge.script_words import read_lease, submission_args, text_of

INBOX_GROUP = "workers"


class Scripts:
    """The scripts of one namespace."""

    def __init__(self, keys: Keys, *, flags: bool = True) -> None:
        self._keys = keys
        self._submit = Script("submit", flags=flags)
        self._take = Script("take", flags=flags)
        self._publish = Script("publish", flags=flags)
        self._settle = Script("settle", flags=flags)
        self._drop = Script("drop", flags=flags)
        self._retract = Script("retract", flags=flags)
        self._release = Script("release", flags=flags)
        self._retry = Script("retry", flags=flags)
        self._cancel = Script("cancel", flags=flags)
        self._answer = Script("answer", flags=flags)
        self._retire = Script("retire", flags=flags)
        self._penalise = Script("penalise", flags=flags)
        self._limit = Script("limit", flags=flags)
        self._observe = Script("observe", flags=flags)
        self._permit = Script("permit", flags=flags)
        self._scope = Script("scope", flags=flags)
        self._note_figures = Script("note_figures", flags=flags)
        self._scope_reset = Script("scope_reset", flags=flags)

    async def submit(
        self,
        redis: RedisClient,
        submissions: Sequence[Submission],
        *,
        waiter: str,
        max_queue: int,
        max_bytes: int,
        look: bool = False,
        first: Sequence[Command] = (),
    ) -> SubmitReply:
        """Put jobs into the queue.

        Args:
            look: answer from the cache first; not on a cluster, which keeps results apart.
            first: SETs of payloads that do not go along.
        """
        keys = self._keys
        args: list[Arg] = [keys.prefix, waiter, max_queue, max_bytes, INBOX_GROUP]
        args.append(keys.results if look else "")
        for submission in submissions:
            args += submission_args(submission)
        depth, queue_bytes, interval, results, *statuses = await self._submit(
            redis, (keys.deadlines, keys.bucket, keys.inbox), args, first=first
        )
        words = tuple(text_of(word) for word in statuses)
        return SubmitReply(depth, queue_bytes, interval, words, tuple(results))

    async def take(self, redis: RedisClient, request: TakeRequest) -> TakeReply:
        """Visit the queue for leases. Never send this through a client that repeats commands."""
        keys = self._keys
        visit, longest, left, due, interval, generation, hold, *rest = await self._take(
            redis,
            (
                keys.ready(Lane.INTERACTIVE),
                keys.ready(Lane.BATCH),
                keys.leased,
                keys.later,
                keys.deadlines,
                keys.bucket,
                keys.workers,
                keys.worker(request.worker),
            ),
            (
                keys.prefix,
                request.worker,
                request.operation,
                request.confirmed,
                request.want,
                request.lease_us,
                request.interval_us,
                request.suspects,
                request.version,
                request.concurrency,
                request.state,
                "" if request.turn_us is None else request.turn_us,
                request.in_flight,
                request.lead_us,
                request.calls.answered,
                request.calls.failed,
                request.calls.generation,
                *(word for job in request.held for word in job),
            ),
        )
        alone, failing, now, *leases = rest
        return TakeReply(
            visit_us=int(visit),
            longest_us=int(longest),
            left=left,
            due_us=int(due) if int(due) >= 0 else None,
            interval_us=int(interval),
            generation=int(generation),
            hold=text_of(hold),
            alone=bool(alone),
            failing=text_of(failing),
            now_us=int(now),
            leases=tuple(read_lease(row) for row in leases),
            payloads={int(row[1]): row[-1] for row in leases if row[-1]},
        )

    async def settle(
        self,
        redis: RedisClient,
        endings: Sequence[Ending],
        retention: Retention,
        *,
        max_dead: int,
        published: bool = False,
    ) -> tuple[Settled, ...]:
        """End jobs.

        Args:
            published: their results have been written, so that this need not.
        """
        keys = self._keys
        args: list[Arg] = [keys.prefix, retention.reply_ms, max_dead, retention.dead_ms]
        args += ("" if published else keys.results, retention.counted_ms, retention.failed_ms)
        for ending in endings:
            args += (ending.digest, ending.token, ending.result, ending.code, ending.attempts)
        places = (keys.leased, keys.later, keys.deadlines, keys.dead, keys.done, keys.told)
        statuses = await self._settle(redis, places, args)
        return tuple(text_of(status) for status in statuses)

    async def publish(
        self, redis: RedisClient, key: str, text: bytes, *, ttl_ms: int, failed: bool
    ) -> None:
        """Write a result on a server that is too full for a plain SET."""
        await self._publish(redis, (key,), (text, ttl_ms, int(failed)))

    async def retract(self, redis: RedisClient, key: str, text: bytes) -> bool:
        """Take a failure back; False if something else stands under its key by now, or nothing."""
        return bool(await self._retract(redis, (key,), (text,)))

    async def drop(self, redis: RedisClient, letters: Sequence[tuple[str, str]]) -> int:
        """Drop dead letters (entry id, digest) and the payloads they keep; returns how many."""
        args: list[Arg] = [self._keys.prefix]
        for letter in letters:
            args += letter
        return int(await self._drop(redis, (self._keys.dead,), args))

    async def release(
        self, redis: RedisClient, held: Sequence[tuple[str, int]], *, behind: bool
    ) -> int:
        """Give jobs (digest, token) back unharmed; returns how many leases still held."""
        args: list[Arg] = [self._keys.prefix, int(behind)]
        for digest, token in held:
            args += (digest, token)
        statuses = await self._release(redis, (self._keys.leased, self._keys.later), args)
        return sum(text_of(status) == "released" for status in statuses)

    async def retry(self, redis: RedisClient, held: Sequence[tuple[str, int, int]]) -> int:
        """Give jobs (digest, token, delay in µs) back, an attempt used; returns how many held."""
        args: list[Arg] = [self._keys.prefix]
        for digest, token, delay_us in held:
            args += (digest, token, delay_us)
        statuses = await self._retry(redis, (self._keys.leased, self._keys.later), args)
        return sum(text_of(status) == "retried" for status in statuses)

    async def cancel(self, redis: RedisClient, digest: str, *, waiter: str) -> Cancelled:
        """Withdraw a job if nobody else waits for it."""
        keys = self._keys
        places = (keys.leased, keys.later, keys.deadlines)
        args = (keys.prefix, waiter, digest)
        status: Cancelled = text_of(await self._cancel(redis, places, args))
        return status

    async def answer(
        self,
        redis: RedisClient,
        replies: Sequence[tuple[str, str, bool, bytes]],
        *,
        reply_ttl_ms: int,
    ) -> None:
        """Answer inbox entries (entry id, reply id, bell, JSON) that need no job."""
        args: list[Arg] = [self._keys.prefix, INBOX_GROUP, reply_ttl_ms]
        for entry, reply_id, bell, text in replies:
            args += (entry, reply_id, int(bell), text)
        await self._answer(redis, (self._keys.inbox,), args)

    async def retire(self, redis: RedisClient, *, leaving: str = "") -> int:
        """Remove the inbox's consumers that hold nothing and whose workers are gone."""
        keys = (self._keys.inbox, self._keys.workers)
        removed: int = await self._retire(redis, keys, (INBOX_GROUP, leaving))
        return removed

    async def penalise(
        self,
        redis: RedisClient,
        *,
        wait_us: int,
        generation: int,
        hold: str,
        ramp: bool,
        interval_us: int,
    ) -> tuple[int, bool]:
        """Pause the fleet; returns the wait until the pause ends in µs, and if it is a new one."""
        args = (wait_us, generation, hold, int(ramp), interval_us)
        wait, fresh = await self._penalise(redis, (self._keys.bucket,), args)
        return int(wait), bool(fresh)

    async def limit(
        self, redis: RedisClient, action: LimitAction, *, interval_us: int, slow_start: int = 0
    ) -> LimitReply:
        """Set, offer, pause, resume or release the limit."""
        args = (self._keys.prefix, action, interval_us, slow_start)
        interval, by_operator, paused, hold = await self._limit(redis, (self._keys.bucket,), args)
        return LimitReply(int(interval), bool(by_operator), bool(paused), text_of(hold))

    async def observe(self, redis: RedisClient, *, limit: int, low: bool, interval_us: int) -> int:
        """Tell the bucket what the endpoint's headers say; returns the interval in force in µs."""
        args = (limit, int(low), interval_us)
        [interval] = await self._observe(redis, (self._keys.bucket,), args)
        return int(interval)

    async def permit(
        self, redis: RedisClient, *, caller: str, want: int, interval_us: int, turn_us: int | None
    ) -> PermitReply:
        """Draw slots without jobs. Never send this through a client that repeats commands."""
        keys = (self._keys.bucket, self._keys.workers)
        args = (caller, want, interval_us, "" if turn_us is None else turn_us)
        visit, longest, interval, now, *slots = await self._permit(redis, keys, args)
        slots_us = tuple(int(slot) for slot in slots)
        return PermitReply(int(visit), int(longest), int(interval), int(now), slots_us)

    async def note_figures(self, redis: RedisClient, worker: str, figures: bytes) -> None:
        """Note a worker's figures, unless it is gone."""
        await self._note_figures(redis, (self._keys.worker(worker),), (figures,))

    async def claim_scope(self, redis: RedisClient, scope: dict[str, str]) -> dict[str, str]:
        """Write the scope if there is none; returns the one that stands."""
        args = [word for pair in scope.items() for word in pair]
        reply = await self._scope(redis, (self._keys.scope,), args)
        words = [text_of(word) for word in reply]
        return dict(zip(words[::2], words[1::2], strict=True))

    async def reset_scope(self, redis: RedisClient) -> list[str]:
        """Forget the scope; returns the workers that live, for whose sake it stays."""
        names = await self._scope_reset(redis, (self._keys.scope, self._keys.workers), ())
        return [text_of(name) for name in names]
