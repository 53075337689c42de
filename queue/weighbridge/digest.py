"""The digest: a job's id, its cache key, its single-flight key and its result's key in one."""

import hashlib
import hmac
from functools import lru_cache
from typing import Final

from weighbridge.records import Payload

DIGEST_SCHEME: Final = 1
"""Raised whenever the same payload would get another digest."""


def digest_of(payload: Payload, *, partition: str = "", key: bytes | None = None) -> str:
    """Hash what decides a count: 64 hexadecimal digits.

    Args:
        partition: tenants that must not share counts have different ones.
        key: with it the digest is HMAC-SHA-256, so that nobody without the key can confirm a
            guessed payload; without it SHA-256.
    """
    state = hashlib.sha256() if key is None else hmac.new(key, digestmod=hashlib.sha256)
    state.update(_frame(partition, payload.betas) + len(payload.body).to_bytes(8))
    state.update(payload.body)
    return state.hexdigest()


@lru_cache(maxsize=64)
def _frame(partition: str, betas: tuple[str, ...]) -> bytes:
    """What stands before the body's length; lengths first, so that no two payloads read alike."""
    texts = b"".join(_field(beta) for beta in betas)
    return DIGEST_SCHEME.to_bytes(8) + _field(partition) + len(betas).to_bytes(8) + texts


def _field(text: str) -> bytes:
    # A partition comes from outside; half a surrogate pair must not raise here.
    data = text.encode(errors="surrogatepass")
    return len(data).to_bytes(8) + data
