"""Dead letters: jobs that failed for good, listed, put back into their lane, or dropped.

A letter names its job and says why it failed; the payload stays under its own key for as long as
the workers' setting says. A replay makes a new job of it: new attempts, a new deadline.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redis.exceptions import OutOfMemoryError

from weighbridge.connection import RedisClient, queue_errors, read_clock_us, read_values
from weighbridge.errors import QueueFull, UnknownDeadLetter, WeighbridgeError
from weighbridge.exchange import Submission
from weighbridge.jobs import MAX_DEAD_LETTERS
from weighbridge.keys import Keys
from weighbridge.letters import DeadLetter, Selection, matches, read_letter
from weighbridge.records import Counted, Failed, Job, Payload, Result, read_result
from weighbridge.scripts import Scripts
from weighbridge.submitter import Submitter

PAGE = 500
"""Letters a round trip reads."""

ROUNDS = 5
"""A replay that meets a new failure starts over; more often than this something else replays."""

WAITER = "replay"
"""Waits for every replayed job, so that no client's cancel withdraws it."""

ENTRY_ID = re.compile(r"\d+-\d+")
DIGEST = re.compile(r"[0-9a-f]{8,64}")

Row = tuple[bytes, Mapping[bytes, bytes]]
"""An entry of the stream: its id and its fields."""

Replayed = Literal["replayed", "counted", "payload_gone"]
"""``counted``: a count is there already, so the letter goes; ``payload_gone``: it stays listed."""


@dataclass(frozen=True, slots=True)
class LetterState:
    """A letter and what is left of its job.

    Args:
        result: what stands under the digest now; a failure stays there for minutes only.
        live: whether the job is in the queue again.
        payload_bytes: 0 if the payload is gone.
        payload_s: seconds until it goes; None while the job is live.
    """

    letter: DeadLetter
    result: Result | None
    live: bool
    payload_bytes: int
    payload_s: float | None


class DeadLetters:
    """The dead letters of one namespace.

    Args:
        max_queue: live jobs beyond which a replay is refused; max_bytes: their payloads' bytes.
        deadline_us: of a replayed job.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: Keys,
        scripts: Scripts,
        *,
        max_queue: int,
        max_bytes: int,
        deadline_us: int,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts
        self._deadline_us = deadline_us
        self._submitter = Submitter(
            redis, keys, scripts, waiter=WAITER, max_queue=max_queue, max_bytes=max_bytes
        )

    async def find(
        self, selection: Selection | None = None, *, limit: int = MAX_DEAD_LETTERS
    ) -> list[DeadLetter]:
        """Find letters, newest first, at most ``limit`` of them.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        found: list[DeadLetter] = []
        with queue_errors():
            async for page in self._pages(selection or Selection()):
                found += page
                if len(found) >= limit:
                    break
        return found[:limit]

    async def named(self, name: str) -> list[DeadLetter]:
        """Find the letter with this entry id, or those of the digest that begins so, newest first.

        Raises:
            UnknownDeadLetter: there is none, or the digest is cut too short.
            QueueUnreachable: the server does not answer.
        """
        if ENTRY_ID.fullmatch(name):
            found = await self._with_id(name)
        elif DIGEST.fullmatch(name):
            found = await self.find(Selection(digest=name))
        else:
            raise UnknownDeadLetter(
                f"{name!r} names no dead letter; give an entry id, as `weighbridge dead list`"
                " shows it, or at least 8 hexadecimal digits of a digest"
            )
        if not found:
            raise UnknownDeadLetter(f"there is no dead letter {name}")
        if len({letter.digest for letter in found}) > 1:
            raise UnknownDeadLetter(f"several digests begin with {name}; give more of it")
        return found

    async def look(self, letter: DeadLetter) -> LetterState:
        """Say what is left of a letter's job; the payload is not read.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        with queue_errors():
            pipe = self._redis.pipeline(transaction=False)
            pipe.get(self._keys.result(letter.digest))
            pipe.hexists(self._keys.job(letter.digest), "lane")
            pipe.strlen(self._keys.payload(letter.digest))
            pipe.pttl(self._keys.payload(letter.digest))
            text, live, size, left_ms = await pipe.execute()
        return LetterState(
            letter=letter,
            result=read_result(text),
            live=bool(live),
            payload_bytes=size,
            payload_s=None if live else max(0, left_ms) / 1000,
        )

    async def replay(self, letter: DeadLetter) -> Replayed:
        """Put a letter's job back into its lane; the letter goes last.

        Each step may be repeated: a crash between two leaves a letter to replay, and a second
        replay joins the job of the first.

        Raises:
            QueueFull: the queue's bound is reached; letter, payload and result are as before.
            QueueUnreachable: the server does not answer, or has no memory left.
        """
        with queue_errors():
            # The payload first: a count is written before its job's payload goes.
            [body] = await read_values(self._redis, [self._keys.payload(letter.digest)])
            [text] = await read_values(self._redis, [self._keys.result(letter.digest)])
            outcome: Replayed = "counted"
            if not isinstance(read_result(text), Counted):
                if body is None:
                    return "payload_gone"
                outcome = await self._submit(self._job(letter, body))
            await self._scripts.drop(self._redis, [(letter.id, letter.digest)])
        return outcome

    async def drop(self, letters: Sequence[DeadLetter]) -> int:
        """Drop letters and the payloads they keep; returns how many were still there.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        dropped = 0
        with queue_errors():
            for start in range(0, len(letters), PAGE):
                names = [(letter.id, letter.digest) for letter in letters[start : start + PAGE]]
                dropped += await self._scripts.drop(self._redis, names)
        return dropped

    def _job(self, letter: DeadLetter, body: bytes) -> Job:
        payload = Payload(body, letter.model, letter.betas)
        return Job(letter.digest, payload, letter.lane, letter.producer, self._deadline_us)

    async def _submit(self, job: Job) -> Replayed:
        for _ in range(ROUNDS):
            failure, left_ms = await self._retract(job.digest)
            try:
                [admission] = await self._submitter.submit([Submission(job)])
            except OutOfMemoryError:
                await self._put_back(job.digest, failure, left_ms)
                raise
            if isinstance(admission, QueueFull):
                await self._put_back(job.digest, failure, left_ms)
                raise admission
            if not isinstance(admission.result, Failed):
                return "replayed" if admission.result is None else "counted"
        raise WeighbridgeError(f"job {job.digest[:12]}… fails as fast as it is replayed")

    async def _retract(self, digest: str) -> tuple[bytes | None, int]:
        """Take the failure back before the new job may end: it would keep the next one out.

        Returns the failure's text and the milliseconds it had left.
        """
        key = self._keys.result(digest)
        pipe = self._redis.pipeline(transaction=False)
        pipe.get(key)
        pipe.pttl(key)
        text, left_ms = await pipe.execute()
        if text is None or not isinstance(read_result(text), Failed):
            return None, 0
        await self._scripts.retract(self._redis, key, text)
        return text, left_ms

    async def _put_back(self, digest: str, failure: bytes | None, left_ms: int) -> None:
        """The job has no new end in sight, so the old one is its answer still."""
        if failure is not None and left_ms > 0:
            key = self._keys.result(digest)
            await self._scripts.publish(self._redis, key, failure, ttl_ms=left_ms, failed=True)

    async def _with_id(self, entry: str) -> list[DeadLetter]:
        with queue_errors():
            rows = await self._read(entry, entry)
            return await self._letters(rows, await self._now_ms())

    async def _pages(self, selection: Selection) -> AsyncIterator[list[DeadLetter]]:
        """Walk from the newest to the oldest letter of the right age; newer ones are not met."""
        now_ms = await self._now_ms()
        newest, oldest = "+", "-"
        if selection.older_than_s is not None:
            newest = str(max(0, now_ms - int(selection.older_than_s * 1000)))
        if selection.younger_than_s is not None:
            oldest = str(max(0, now_ms - int(selection.younger_than_s * 1000)))
        while rows := await self._read(newest, oldest):
            newest = f"({rows[-1][0].decode()}"
            yield await self._letters([row for row in rows if matches(row[1], selection)], now_ms)

    async def _read(self, newest: str, oldest: str) -> list[Row]:
        rows: Any = await self._redis.xrevrange(self._keys.dead, newest, oldest, count=PAGE)
        return list(rows)

    async def _letters(self, rows: Sequence[Row], now_ms: int) -> list[DeadLetter]:
        pipe = self._redis.pipeline(transaction=False)
        for _, fields in rows:
            pipe.exists(self._keys.payload(fields[b"digest"].decode()))
        kept = await pipe.execute() if rows else []
        return [
            read_letter(entry.decode(), fields, now_ms, kept=bool(there))
            for (entry, fields), there in zip(rows, kept, strict=True)
        ]

    async def _now_ms(self) -> int:
        return await read_clock_us(self._redis, self._keys.dead) // 1000
