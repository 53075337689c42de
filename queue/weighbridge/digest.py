"""The digest: a job's id, its cache key, its single-flight key and its result's key in one."""

import hashlib
import hmac
from collections.abc import Iterator
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
    state.update(b"".join(_frame(payload, partition)))
    state.update(payload.body)
    return state.hexdigest()


def _frame(payload: Payload, partition: str) -> Iterator[bytes]:
    """Everything before the body, lengths first, so that no two payloads read alike."""
    yield DIGEST_SCHEME.to_bytes(8)
    yield from _field(partition)
    yield len(payload.betas).to_bytes(8)
    for beta in payload.betas:
        yield from _field(beta)
    yield len(payload.body).to_bytes(8)


def _field(text: str) -> Iterator[bytes]:
    # A partition comes from outside; half a surrogate pair must not raise here.
    data = text.encode(errors="surrogatepass")
    yield len(data).to_bytes(8)
    yield data
