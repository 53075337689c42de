"""Bodies seen before, so that their digests need not be made again.

To read, check and hash a body takes longer than everything else about an answer from the cache, and
callers that ask for the same count mostly send the same bytes. Only the way from bytes to digest is
remembered, which never changes; whether there is a count is asked anew each time.
"""

import hashlib
from typing import Final

from weighbridge.preparation import LARGE_BYTES

MOST: Final = 16_384
"""About 5 MB."""

Name = tuple[str | None, tuple[str, ...], bytes]
"""What a digest is made of: partition, betas, and the body, hashed."""


class KnownBodies:
    """The digests of the last bodies that could be counted."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._digests: dict[Name, str] = {}

    def name(self, body: bytes, betas: tuple[str, ...], partition: str | None) -> Name | None:
        """Name a body; None for a large one, whose hashing would hold others up."""
        if len(body) >= LARGE_BYTES:
            return None
        return (partition, betas, hashlib.sha256(body).digest())

    def digest(self, name: Name | None) -> str | None:
        """Give a body's digest if it was noted."""
        return None if name is None else self._digests.get(name)

    def note(self, name: Name | None, digest: str) -> None:
        """Remember a body's digest, and forget the oldest where there are many."""
        if name is None:
            return
        if len(self._digests) >= self._most:
            del self._digests[next(iter(self._digests))]
        self._digests[name] = digest
