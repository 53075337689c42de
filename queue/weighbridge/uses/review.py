"""The review log, as the guard sees it: refusals go in, and what a person approved comes back once.

The log is a Redis stream with a bound, and a file of JSON lines where one is named.
"""

import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import msgspec
from anyio import to_thread

from weighbridge.connection import RedisClient, connect, queue_errors
from weighbridge.errors import SettingsError
from weighbridge.keys import Keys
from weighbridge.preparation import RawPayload
from weighbridge.settings import DAY_S, QueueSettings
from weighbridge.uses.decisions import to_json
from weighbridge.uses.guard_decision import GuardDecision
from weighbridge.uses.nano_usd import to_nano
from weighbridge.uses.review_scripts import Claim, ReviewScripts

MOST_ENTRIES = 10_000
"""The log keeps its newest refusals."""

PAYLOAD_TTL_S = 7 * DAY_S
"""How long a kept payload stays for the one who reviews it."""

APPROVABLE = frozenset({"over_input_tokens", "over_usd"})
"""A person may lift a request's own limits; no approval makes money, prices or counts."""


class ReviewLog:
    """One namespace's log.

    Args:
        file: appended to as well.
        keep_payloads: refused payloads are kept, in the clear, for ``payload_ttl_s`` seconds.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: Keys,
        *,
        file: Path | None = None,
        keep_payloads: bool = False,
        payload_ttl_s: float = PAYLOAD_TTL_S,
        most: int = MOST_ENTRIES,
        flags: bool = True,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._file = file
        self.keeps_payloads = keep_payloads
        self._payload_ttl_ms = int(payload_ttl_s * 1000)
        self._most = most
        self._scripts = ReviewScripts(keys, flags=flags)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, settings: QueueSettings, *, file: Path | None = None, keep_payloads: bool = False
    ) -> AsyncIterator[Self]:
        """Connect to the queue's server."""
        async with connect(settings.redis_url) as redis:
            yield cls(redis, Keys(settings.namespace), file=file, keep_payloads=keep_payloads)

    async def write(
        self, refusals: Sequence[GuardDecision], payloads: Mapping[int, RawPayload]
    ) -> None:
        """Write refusals; ``payloads`` holds those to keep, by the decisions' index.

        Raises:
            SettingsError: the file cannot be written.
            QueueUnreachable: the server does not answer.
        """
        texts = [to_json(refusal) for refusal in refusals]
        if self._file is not None:
            await to_thread.run_sync(_append, self._file, texts)
        with queue_errors():
            await self._keep(refusals, payloads)
            await self._scripts.write(
                self._redis, texts, operation=uuid.uuid4().hex, most=self._most
            )

    async def claim(self, refused: Sequence[GuardDecision], claimant: str) -> list[bool]:
        """Claim approvals for what its own limits refuse, at the prices it has now.

        Args:
            claimant: this call's own, so that a repeated command hears the same answer.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        with queue_errors():
            return await self._scripts.claim(self._redis, _claims(refused, claimant))

    async def give_back(self, claimed: Sequence[GuardDecision], claimant: str) -> None:
        """Give claimed approvals back, for the next who asks.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        claims = _claims(claimed, claimant)
        with queue_errors():
            await self._scripts.claim(self._redis, claims, action="return")

    async def _keep(
        self, refusals: Sequence[GuardDecision], payloads: Mapping[int, RawPayload]
    ) -> None:
        """Write payloads by plain SET, never through Lua."""
        kept = [
            (refusal.digest, payloads[refusal.index])
            for refusal in refusals
            if refusal.digest is not None and refusal.index in payloads
        ]
        if not kept:
            return
        pipe = self._redis.pipeline(transaction=False)
        for digest, payload in kept:
            text = msgspec.json.encode(payload) if isinstance(payload, Mapping) else payload
            pipe.set(self._keys.review_payload(digest), text, px=self._payload_ttl_ms)
        await pipe.execute()


def _claims(decisions: Sequence[GuardDecision], claimant: str) -> list[Claim]:
    claims: list[Claim] = []
    for decision in decisions:
        price = decision.price
        digest = decision.digest or ""
        nano = None if price is None else to_nano(price)
        claims.append((digest, f"{claimant}:{decision.index}", nano))
    return claims


def _append(file: Path, texts: Sequence[bytes]) -> None:
    """Append lines in one write, each with the time."""
    at = msgspec.json.encode({"at": round(time.time(), 3)})[:-1]
    lines = b"".join(at + b"," + text[1:] + b"\n" for text in texts)
    try:
        with file.open("ab") as stream:
            stream.write(lines)
    except OSError as error:
        raise SettingsError(f"cannot write the review file {file}: {error.strerror}") from None
