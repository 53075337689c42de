"""From a checked payload to an answer or a place in the queue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import anyio
import msgspec
from msgspec.structs import replace

from weighbridge.connection import Command, RedisClient, read_values, results_apart
from weighbridge.errors import QueueFull, WeighbridgeError
from weighbridge.exchange import Submission, SubmitReply
from weighbridge.keys import Keys
from weighbridge.records import CacheUse, Failed, Job, Result, read_result
from weighbridge.scripts import Scripts

ORPHAN_TTL_MS = 600_000
"""How long a payload waits for its submit; the submit makes it last."""

BATCH = 128
"""Jobs that a submit should take at most: while the script runs, all others stand still."""

BATCH_BYTES = 8 * 2**20
"""A batch should take no more jobs once their payloads have so many bytes."""

ALONG_BYTES = 8192
"""Payloads up to here go along with their submit; in a script a large one would hold all up."""

FEW = 16
"""So many small payloads at most go without a look into the cache before them: the submit looks by
itself, which saves a round trip; of more, those that are answered need not travel."""

ROUNDS = 5
"""A submit that meets a settling job starts over; more often than this it is no race any more."""

LASTING_FAILURES = frozenset({"invalid_request", "payload_too_large", "not_countable"})
"""Codes of failures that the same payload would meet again; the rest is tried anew.

``not_found`` is not among them: a key without access to the model gets it, too, and so does
everybody at a base URL with a wrong path.
"""


class Admission(msgspec.Struct, frozen=True, gc=False):
    """A job that is in the queue, or whose result was there already."""

    cache: CacheUse
    result: Result | None = None


@dataclass(slots=True)
class _Asked:
    """What is submitted in one call, by index, and how far that is."""

    submissions: Sequence[Submission]
    admitted: dict[int, Admission | QueueFull] = field(default_factory=dict)
    forced: set[int] = field(default_factory=set)

    def digest(self, index: int) -> str:
        return self.submissions[index].job.digest

    def waiting(self) -> list[int]:
        return [index for index in range(len(self.submissions)) if index not in self.admitted]

    def next_of(self, index: int) -> Submission:
        """Give a submission as it is to be sent now."""
        submission = self.submissions[index]
        force, along = index in self.forced, _goes_along(submission.job)
        return replace(submission, force=force, along=along) if force or along else submission


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
        submissions: Sequence[Submission],
        *,
        fresh: bool = False,
        before: Callable[[Sequence[int]], None] | None = None,
    ) -> list[Admission | QueueFull]:
        """Answer jobs from the cache, and put the others into the queue.

        A reply that was asked for is noted with a job in the queue; whoever asks for one that is
        answered from the cache gives it himself.

        Args:
            fresh: pass over what is cached and count again.
            before: told the indexes of those that may go into the queue, before they do.
        """
        asked, indexes = _Asked(submissions), range(len(submissions))
        look = self._looks_by_itself(submissions)
        if fresh:
            await self._redis.unlink(*(self._keys.result(asked.digest(each)) for each in indexes))
            asked.forced.update(indexes)
        elif not look:
            await self._answer_from_cache(asked, indexes)
        for _ in range(ROUNDS):
            if not (waiting := asked.waiting()):
                return [asked.admitted[index] for index in indexes]
            if before is not None:
                before(waiting)
            settled = await self._enqueue(asked, waiting, look=look)
            found = await self._answer_from_cache(asked, settled)
            asked.forced.update(set(settled) - found)
        raise WeighbridgeError("the queue's server loses payloads as fast as they are written")

    async def look(self, digests: Sequence[str]) -> list[Result | None]:
        """Read results that a submit would be answered with."""
        texts = await read_values(self._redis, [self._keys.result(digest) for digest in digests])
        return [None if text is None else _lasting(text) for text in texts]

    def _looks_by_itself(self, submissions: Sequence[Submission]) -> bool:
        if len(submissions) > FEW or results_apart(self._redis):
            return False
        return all(_goes_along(submission.job) for submission in submissions)

    async def _answer_from_cache(self, asked: _Asked, indexes: Sequence[int]) -> set[int]:
        """Admit what has a result."""
        if not indexes:
            return set()
        keys = [self._keys.result(asked.digest(index)) for index in indexes]
        texts = zip(indexes, await read_values(self._redis, keys), strict=True)
        return await self._answer(asked, {index: text for index, text in texts if text is not None})

    async def _answer(self, asked: _Asked, texts: Mapping[int, bytes]) -> set[int]:
        """Admit by results; a passing failure is dropped, so that its job can run again."""
        found, passing = set(), {}
        for index, text in texts.items():
            result = _lasting(text)
            if result is not None:
                asked.admitted[index] = Admission("hit", result)
                found.add(index)
            else:
                passing[index] = text
        if passing:
            async with anyio.create_task_group() as tasks:
                for index, text in passing.items():
                    tasks.start_soon(self._retract, asked, index, text)
        return found

    async def _retract(self, asked: _Asked, index: int, text: bytes) -> None:
        """Drop a failure: a waiter could not tell it from the new result. But a count that came
        since stays, and answers.
        """
        if await self._scripts.retract(self._redis, self._keys.result(asked.digest(index)), text):
            asked.forced.add(index)

    async def _enqueue(self, asked: _Asked, waiting: Sequence[int], *, look: bool) -> list[int]:
        """Submit once; returns those that were settled a moment ago."""
        submissions = [asked.next_of(index) for index in waiting]
        reply = await self._scripts.submit(
            self._redis,
            submissions,
            waiter=self._waiter,
            max_queue=self._max_queue,
            max_bytes=self._max_bytes,
            look=look,
            first=[self._store(each.job) for each in submissions if not each.along],
        )
        settled, cached, texts = [], {}, iter(reply.results)
        for index, status in zip(waiting, reply.statuses, strict=True):
            if status == "new":
                asked.admitted[index] = Admission("miss")
            elif status == "joined":
                asked.admitted[index] = Admission("joined")
            elif status == "full":
                asked.admitted[index] = _full(reply, "jobs")
            elif status == "full_bytes":
                asked.admitted[index] = _full(reply, "bytes")
            elif status == "settled":
                settled.append(index)
            elif status == "cached":
                cached[index] = next(texts)
        await self._answer(asked, cached)
        return settled

    def _store(self, job: Job) -> Command:
        """Write a payload by plain SET, before the submit; in its round trip, as the slot is one.

        NX: a live job's payload must not get a TTL back, should we die before our submit.
        """
        key = self._keys.payload(job.digest)
        return ("SET", key, job.payload.body, "PX", ORPHAN_TTL_MS, "NX")


def _goes_along(job: Job) -> bool:
    return len(job.payload.body) <= ALONG_BYTES


def _lasting(text: bytes) -> Result | None:
    """Read a result that may answer; None for a passing failure, or a text that is none of ours."""
    result = read_result(text)
    passes = isinstance(result, Failed) and result.code not in LASTING_FAILURES
    return None if passes else result


def _full(reply: SubmitReply, bound: Literal["jobs", "bytes"]) -> QueueFull:
    eta_s = reply.depth * reply.interval_us / 1_000_000
    return QueueFull(reply.depth, reply.queue_bytes, eta_s, bound=bound)
