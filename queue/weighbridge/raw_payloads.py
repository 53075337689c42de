"""Payloads as the calls for many of them take them."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import TypeAlias, TypeVar

from weighbridge.preparation import RawPayload

T = TypeVar("T")

RawPayloads: TypeAlias = Iterable[RawPayload] | AsyncIterable[RawPayload]


async def each_of(source: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Go through a source of either kind."""
    if isinstance(source, AsyncIterable):
        async for each in source:
            yield each
    else:
        for each in source:
            yield each
