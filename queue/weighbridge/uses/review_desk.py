"""The review log, as a person sees it: list, show, approve, drop."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from weighbridge.connection import RedisClient, connect, queue_errors
from weighbridge.errors import NotReviewable
from weighbridge.keys import Keys
from weighbridge.settings import DAY_S, QueueSettings
from weighbridge.uses.guard_decision import GuardDecision
from weighbridge.uses.nano_usd import to_nano
from weighbridge.uses.review import APPROVABLE
from weighbridge.uses.review_scripts import ReviewScripts

APPROVAL_TTL_S = 7 * DAY_S
"""How long an approval waits to be claimed."""

PAGE = 500
"""Entries read at once."""


@dataclass(frozen=True, slots=True)
class ReviewEntry:
    """One refusal.

    Args:
        id: the entry's, in the stream.
        at: Unix seconds of the refusal, by the server's clock.
    """

    id: str
    at: float
    refusal: GuardDecision

    def goes_by(self, name: str) -> bool:
        """Say whether a person means this entry: by its id, or by the start of its digest."""
        digest = self.refusal.digest or ""
        return name == self.id or (len(name) >= 6 and digest.startswith(name))


class ReviewDesk:
    """One namespace's log, for those who decide about what was refused."""

    def __init__(self, redis: RedisClient, keys: Keys, *, flags: bool = True) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = ReviewScripts(keys, flags=flags)

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: QueueSettings) -> AsyncIterator[Self]:
        """Connect to the queue's server."""
        async with connect(settings.redis_url) as redis:
            yield cls(redis, Keys(settings.namespace))

    async def entries(self) -> list[ReviewEntry]:
        """Read the log, oldest first.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        found: list[ReviewEntry] = []
        start = "-"
        with queue_errors():
            while rows := await self._redis.xrange(self._keys.review, start, count=PAGE):
                found += [_entry(row) for row in rows]
                start = f"({found[-1].id}"
        return found

    async def find(self, name: str) -> list[ReviewEntry]:
        """Find what a person means: an entry's id, or six or more digits of a digest.

        Returns the entries of one digest, the newest last.

        Raises:
            NotReviewable: there is none, or there are several digests.
            QueueUnreachable: the server does not answer.
        """
        entries = await self.entries()
        meant = [entry for entry in entries if entry.goes_by(name)]
        if not meant:
            raise NotReviewable(f"nothing in the review log goes by {name!r}; see review list")
        digests = {entry.refusal.digest for entry in meant}
        if len(digests) > 1:
            raise NotReviewable(f"{len(digests)} digests begin with {name!r}; give more of it")
        [digest] = digests
        return meant if digest is None else [e for e in entries if e.refusal.digest == digest]

    async def payload(self, entry: ReviewEntry) -> bytes | None:
        """Read a kept payload; None if it was not kept, or no longer.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        if entry.refusal.digest is None:
            return None
        with queue_errors():
            text: Any = await self._redis.get(self._keys.review_payload(entry.refusal.digest))
        return text if isinstance(text, bytes) else None

    async def approve(self, name: str, *, ttl_s: float = APPROVAL_TTL_S) -> ReviewEntry:
        """Admit a digest once, at no more than the price it was last refused at.

        Raises:
            NotReviewable: nothing goes by this name, or no limit of its own refused it.
            QueueUnreachable: the server does not answer.
        """
        entries = await self.find(name)
        latest = entries[-1]
        refusal = latest.refusal
        if refusal.digest is None or refusal.reason not in APPROVABLE:
            raise NotReviewable(
                f"{name} was refused as {refusal.reason}, which no approval can lift;"
                " see review show for what to do, and drop it when that is done"
            )
        with queue_errors():
            await self._scripts.approve(
                self._redis,
                refusal.digest,
                approval=latest.id,  # the same for whoever else approves it at this moment
                most=None if refusal.price is None else to_nano(refusal.price),
                ttl_ms=int(ttl_s * 1000),
                entries=[entry.id for entry in entries],
            )
        return latest

    async def drop(self, name: str) -> Sequence[ReviewEntry]:
        """Strike a digest's entries, with its kept payload; returns them.

        Raises:
            NotReviewable: nothing goes by this name.
            QueueUnreachable: the server does not answer.
        """
        entries = await self.find(name)
        digest = entries[-1].refusal.digest
        with queue_errors():
            pipe = self._redis.pipeline(transaction=False)
            pipe.xdel(self._keys.review, *(entry.id for entry in entries))
            if digest is not None:
                pipe.unlink(self._keys.review_payload(digest))
            await pipe.execute()
        return entries


def _entry(row: Any) -> ReviewEntry:
    name, fields = row
    refusal = msgspec.json.decode(fields[b"refusal"], type=GuardDecision)
    return ReviewEntry(name.decode(), int(name.decode().partition("-")[0]) / 1000, refusal)
