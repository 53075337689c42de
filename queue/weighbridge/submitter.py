"""From a checked payload to an answer or a place in the queue."""

from collections.abc import Callable, Sequence
from typing import Literal

import anyio
import msgspec
from msgspec.structs import replace

from weighbridge.connection import Command, RedisClient, read_values
from weighbridge.errors import QueueFull, WeighbridgeError
from weighbridge.exchange import Submission, SubmitReply
from weighbridge.keys import Keys
from weighbridge.records import CacheUse, Failed, Job, Result, read_result
from weighbridge.scripts import Scripts

ORPHAN_TTL_MS = 600_000
"""How long a payload waits for its submit; the submit makes it last."""

ROUNDS = 5
"""A submit that meets a settling job starts over; more often than this it is no race any more."""

LASTING_FAILURES = frozenset({"invalid_request", "payload_too_large", "not_countable"})
"""Codes of failures that the same payload would meet again; the rest is tried anew.

``not_found`` is not among them: a key without access to the model gets it, too, and so does
everybody at a base URL with a wrong path.
"""


class Admission(msgspec.Struct, frozen=True):
    """A job that is in the queue, or whose result was there already."""

    cache: CacheUse
    result: Result | None = None


class Submitter:
    """Submits under one waiter's name.

    Args:
        waiter: who waits, so that a cancel withdraws only what nobody else wants.
        max_queue: live jobs beyond which new ones are refused.
        max_bytes: the same for the bytes of their payloads.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: Keys,
        scripts: Scripts,
        *,
        waiter: str,
        max_queue: int,
        max_bytes: int,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts
        self._waiter = waiter
        self._max_queue = max_queue
        self._max_bytes = max_bytes

    async def submit(
        self,
        asked: Sequence[Submission],
        *,
        fresh: bool = False,
        before: Callable[[Sequence[int]], None] | None = None,
    ) -> list[Admission | QueueFull]:
        """Answer jobs from the cache, and put the others into the queue.

        A reply that was asked for is noted with a job in the queue; whoever asks for one that is
        answered from the cache gives it himself.

        Args:
            fresh: pass over what is cached and count again.
            before: told the indexes of those that go into the queue, before they do.
        """
        jobs = [submission.job for submission in asked]
        admitted: dict[int, Admission | QueueFull] = {}
        forced: set[int] = set()
        if fresh:
            await self._redis.unlink(*(self._keys.result(job.digest) for job in jobs))
            forced.update(range(len(jobs)))
        else:
            await self._answer_from_cache(jobs, range(len(jobs)), admitted, forced)
        for _ in range(ROUNDS):
            waiting = [index for index in range(len(jobs)) if index not in admitted]
            if not waiting:
                return [admitted[index] for index in range(len(jobs))]
            if before is not None:
                before(waiting)
            settled = await self._enqueue(asked, waiting, admitted, forced)
            found = await self._answer_from_cache(jobs, settled, admitted, forced)
            forced.update(set(settled) - found)
        raise WeighbridgeError("the queue's server loses payloads as fast as they are written")

    async def look(self, digests: Sequence[str]) -> list[Result | None]:
        """Read results that a submit would be answered with."""
        texts = await read_values(self._redis, [self._keys.result(digest) for digest in digests])
        return [None if text is None else _lasting(text) for text in texts]

    async def _answer_from_cache(
        self,
        jobs: Sequence[Job],
        indexes: Sequence[int],
        admitted: dict[int, Admission | QueueFull],
        forced: set[int],
    ) -> set[int]:
        """Admit what has a result; a passing failure is dropped, so that its job can run again."""
        if not indexes:
            return set()
        keys = [self._keys.result(jobs[index].digest) for index in indexes]
        found, passing = set(), {}
        for index, text in zip(indexes, await read_values(self._redis, keys), strict=True):
            if text is None:
                continue
            result = _lasting(text)
            if result is not None:
                admitted[index] = Admission("hit", result)
                found.add(index)
            else:
                passing[index] = text
        if passing:
            async with anyio.create_task_group() as tasks:
                for index, text in passing.items():
                    tasks.start_soon(self._retract, index, jobs[index].digest, text, forced)
        return found

    async def _retract(self, index: int, digest: str, text: bytes, forced: set[int]) -> None:
        """Drop a failure: a waiter could not tell it from the new result. But a count that came
        since stays, and answers.
        """
        if await self._scripts.retract(self._redis, self._keys.result(digest), text):
            forced.add(index)

    async def _enqueue(
        self,
        asked: Sequence[Submission],
        waiting: Sequence[int],
        admitted: dict[int, Admission | QueueFull],
        forced: set[int],
    ) -> list[int]:
        """Submit once; returns those that were settled a moment ago."""
        reply = await self._scripts.submit(
            self._redis,
            [
                replace(asked[index], force=True) if index in forced else asked[index]
                for index in waiting
            ],
            waiter=self._waiter,
            max_queue=self._max_queue,
            max_bytes=self._max_bytes,
            first=[self._store(asked[index].job) for index in waiting],
        )
        settled = []
        for index, status in zip(waiting, reply.statuses, strict=True):
            if status == "new":
                admitted[index] = Admission("miss")
            elif status == "joined":
                admitted[index] = Admission("joined")
            elif status == "full":
                admitted[index] = _full(reply, "jobs")
            elif status == "full_bytes":
                admitted[index] = _full(reply, "bytes")
            elif status == "settled":
                settled.append(index)
        return settled

    def _store(self, job: Job) -> Command:
        """Write a payload by plain SET, before the submit; in its round trip, as the slot is one.

        NX: a live job's payload must not get a TTL back, should we die before our submit.
        """
        key = self._keys.payload(job.digest)
        return ("SET", key, job.payload.body, "PX", ORPHAN_TTL_MS, "NX")


def _lasting(text: bytes) -> Result | None:
    """Read a result that may answer; None for a passing failure, or a text that is none of ours."""
    result = read_result(text)
    passes = isinstance(result, Failed) and result.code not in LASTING_FAILURES
    return None if passes else result


def _full(reply: SubmitReply, bound: Literal["jobs", "bytes"]) -> QueueFull:
    eta_s = reply.depth * reply.interval_us / 1_000_000
    return QueueFull(reply.depth, reply.queue_bytes, eta_s, bound=bound)
