"""Payloads as the calls for many of them take them."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import TypeAlias

from weighbridge.preparation import RawPayload

RawPayloads: TypeAlias = Iterable[RawPayload] | AsyncIterable[RawPayload]


async def each_of(payloads: RawPayloads) -> AsyncGenerator[RawPayload, None]:
    """Go through payloads of either kind."""
    if isinstance(payloads, AsyncIterable):
        async for payload in payloads:
            yield payload
    else:
        for payload in payloads:
            yield payload
