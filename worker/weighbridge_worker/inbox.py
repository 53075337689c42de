"""The inbox as one reader in its consumer group sees it: what is new, and what the dead left.

An entry that was read is pending in the group until its job is born or its reply written. A reader
that dies, or that never sees the reply to its read, leaves it there for others to take over.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from redis.exceptions import OutOfMemoryError, ResponseError

from weighbridge.connection import RedisClient
from weighbridge.keys import Keys
from weighbridge.scripts import INBOX_GROUP, Scripts

READ_AT_ONCE = 64
READ_BYTES = 8 * 2**20
"""What is read at once should not be larger, for entries hold whole payloads."""

CLAIM_IDLE_MS = 30_000
"""An entry that its reader left for so long is taken over; handling one twice is harmless."""

CLAIM_EVERY_S = 20.0
"""Between two walks of one worker through what is pending; the others' walks lie in between."""

READ_S = 10.0
"""The longest wait for entries; well within what a connection may be silent
(``connection.BLOCKING_TIMEOUT_S``)."""

RETIRE_EVERY_S = 60.0

FIRST = "0-0"
"""Where a walk begins, and the cursor that says that it is over."""


@dataclass(frozen=True, slots=True)
class Request:
    """An inbox entry as it was read; ``deliveries`` counts the readers that had it."""

    entry: str
    fields: Mapping[str, bytes]
    deliveries: int = 1

    @property
    def size(self) -> int:
        """Bytes of all fields."""
        return sum(len(value) for value in self.fields.values())


class Inbox:
    """One worker's place in the group.

    Args:
        reading: never repeats a command.
        worker: the worker's name is its consumer's.
    """

    def __init__(
        self,
        redis: RedisClient,
        reading: RedisClient,
        keys: Keys,
        scripts: Scripts,
        *,
        worker: str,
    ) -> None:
        self._redis = redis
        self._reading = reading
        self._keys = keys
        self._scripts = scripts
        self._worker = worker
        self._read_at_once = 8
        self._group_stands = False
        self._cursor = FIRST
        self._walk_at = self._retire_at = 0.0
        self._woken = False
        self._idle = anyio.CancelScope()

    def wake(self) -> None:
        """End the wait for entries, and every later one."""
        self._woken = True
        self._idle.cancel()

    def distrust(self) -> None:
        """See to the group before the next read: it may have been deleted."""
        self._group_stands = False

    async def read(self) -> list[Request]:
        """Read what is new; wait for it, but not in the midst of a walk."""
        await self._see_to_group()
        reply = None
        with anyio.CancelScope() as self._idle:
            if self._woken:
                return []
            reply = await self._reading.xreadgroup(
                INBOX_GROUP,
                self._worker,
                {self._keys.inbox: ">"},
                count=self._read_at_once,
                block=None if self._cursor != FIRST else int(READ_S * 1000),
            )
        requests = _requests(reply)
        self._suit_size(requests)
        return requests

    async def read_own(self) -> list[Request]:
        """Read what was delivered to this worker and is still pending."""
        reply = await self._redis.xreadgroup(
            INBOX_GROUP, self._worker, {self._keys.inbox: "0"}, count=self._read_at_once
        )
        return _requests(reply)

    async def take_over(self) -> list[Request]:
        """Go on walking through what is pending, and take what was left, this worker's own too.

        One by one, because nothing tells an entry's size before it is here.
        """
        if anyio.current_time() < self._walk_at:
            return []
        await self._see_to_group()
        found: list[Request] = []
        for _ in range(READ_AT_ONCE):
            found += await self._claim_next()
            if self._cursor == FIRST:
                self._walk_at = anyio.current_time() + CLAIM_EVERY_S
                break
            if sum(request.size for request in found) >= READ_BYTES:
                break
        return found

    async def keep(self, requests: Sequence[Request]) -> None:
        """Show that this worker has these entries in hand, so that nobody takes them over."""
        entries: list[Any] = [request.entry for request in requests]
        await self._redis.xclaim(
            self._keys.inbox, INBOX_GROUP, self._worker, 0, entries, justid=True
        )

    async def retire_dead(self) -> None:
        """Remove, now and then, the consumers of workers that are gone and hold nothing."""
        if anyio.current_time() >= self._retire_at:
            wait_s = RETIRE_EVERY_S * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            self._retire_at = anyio.current_time() + wait_s
            await self._scripts.retire(self._redis)

    async def leave(self) -> None:
        """Remove this worker's own consumer; one that holds entries stays for others."""
        await self._scripts.retire(self._redis, leaving=self._worker)

    async def _see_to_group(self) -> None:
        """Create the group from the first entry on: producers may have written before us."""
        if self._group_stands:
            return
        try:
            await self._redis.xgroup_create(self._keys.inbox, INBOX_GROUP, id="0", mkstream=True)
        except OutOfMemoryError:
            pass  # a full server refuses this even where the group stands, and still lets us read
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._group_stands = True

    async def _claim_next(self) -> list[Request]:
        """Take one entry at most; one that was deleted meanwhile leaves the pending list here."""
        cursor, entries, *_ = await self._redis.xautoclaim(
            self._keys.inbox,
            INBOX_GROUP,
            self._worker,
            CLAIM_IDLE_MS,
            start_id=self._cursor,
            count=1,
        )
        self._cursor = cursor.decode()
        return [
            Request(request.entry, request.fields, await self._deliveries(request.entry))
            for request in _requests([(self._keys.inbox, entries)])
        ]

    async def _deliveries(self, entry: str) -> int:
        rows = await self._redis.xpending_range(self._keys.inbox, INBOX_GROUP, entry, entry, 1)
        return int(rows[0]["times_delivered"]) if rows else 1

    def _suit_size(self, requests: Sequence[Request]) -> None:
        """Read so many entries next that they come to the bound if they are like the largest."""
        if requests:
            largest = max(1, *(request.size for request in requests))
            at_once = min(READ_AT_ONCE, self._read_at_once * 2, READ_BYTES // largest)
            self._read_at_once = max(1, at_once)


def _requests(reply: Any) -> list[Request]:
    """Read the reply of a stream read; an entry that was deleted meanwhile has no fields."""
    return [
        Request(
            entry.decode(),
            {name.decode(errors="replace"): value for name, value in fields.items()},
        )
        for _, entries in reply or ()
        for entry, fields in entries
        if fields
    ]
