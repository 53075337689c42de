"""From a body as somebody wrote it to its payload and digest, beside the event loop.

A large body takes tens of milliseconds to parse and to hash, in which no other task could run. A
thread leaves the loop its turns: it gives the interpreter up every few milliseconds, except within
one call of the parser's or writer's C code.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from anyio import CapacityLimiter, to_thread

from weighbridge.digest import digest_of
from weighbridge.payload import MAX_BODY_BYTES, check_payload
from weighbridge.records import Payload

RawPayload = bytes | str | Mapping[str, object]

LARGE_BYTES: Final = 64 * 1024
"""From here on a body goes to the thread: parsing it takes about a millisecond."""

NODE_BYTES: Final = 16
"""What a value of a mapping is taken to weigh beside its text; walking it costs time, too."""


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A checked payload and its digest."""

    digest: str
    payload: Payload


class Preparation:
    """Checks and hashes bodies for one reader of them.

    Args:
        digest_key: makes the digests HMACs.
        max_bytes: bound on a body, besides the endpoint's own.
    """

    def __init__(self, *, digest_key: bytes | None, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._digest_key = digest_key
        self._max_bytes = min(max_bytes, MAX_BODY_BYTES)
        # One at a time: each busy thread lets the loop wait for a turn of its own.
        self._one = CapacityLimiter(1)

    async def prepare(
        self, raw: RawPayload, betas: Iterable[str] = (), partition: str = ""
    ) -> Prepared:
        """Check and hash a body; a mapping must not be changed meanwhile.

        Raises:
            PayloadError: it cannot be counted as it is.
        """
        if is_large(raw):
            names = betas if isinstance(betas, str) else tuple(betas)
            prepare = self.prepare_here
            return await to_thread.run_sync(prepare, raw, names, partition, limiter=self._one)
        return self.prepare_here(raw, betas, partition)

    def prepare_here(self, raw: RawPayload, betas: Iterable[str], partition: str) -> Prepared:
        """Check and hash a body in the thread that calls.

        Raises:
            PayloadError: it cannot be counted as it is.
        """
        payload = check_payload(raw, betas=betas, max_bytes=self._max_bytes)
        return Prepared(digest_of(payload, partition=partition, key=self._digest_key), payload)


def is_large(raw: RawPayload) -> bool:
    """Tell whether a body is large; of a mapping no more is walked than it takes to know."""
    if not isinstance(raw, Mapping):
        return len(raw) >= LARGE_BYTES
    weight, waiting = 0, list(raw.values())
    while waiting and weight < LARGE_BYTES:
        value = waiting.pop()
        weight += NODE_BYTES + (len(value) if isinstance(value, str) else 0)
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
    return weight >= LARGE_BYTES
