"""Many payloads on their way at once, for a caller outside the event loop."""

import math
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from contextlib import aclosing

import anyio

from weighbridge.client import Client
from weighbridge.count_stream import LEAVE_S, Item
from weighbridge.loop_thread import LoopThread
from weighbridge.preparation import RawPayload

LOT = 128
"""Payloads handed to the loop at once, at most; going there and back costs a tenth of a ms."""

LOT_S = 0.01
"""A slow source's payloads do not wait longer than this for others to go with."""

Count = Callable[[Client, AsyncIterable[RawPayload]], AsyncGenerator[list[Item], None]]


class SyncStream:
    """One run: payloads are read and items handed out in the caller's thread, by turns.

    Args:
        in_flight: payloads on their way at most.
    """

    def __init__(self, loop: LoopThread, count: Count, *, in_flight: int) -> None:
        self._loop = loop
        self._count = count
        self._in_flight = in_flight
        self._send, self._payloads = anyio.create_memory_object_stream[RawPayload](math.inf)
        self._give, self._got = anyio.create_memory_object_stream[list[Item] | Exception](math.inf)
        self._ended = threading.Event()

    def run(self, payloads: Iterable[RawPayload]) -> Iterator[Item]:
        """Yield an item a payload."""
        with self._send, self._payloads, self._give, self._got:
            work = self._loop.start(self._work)
            try:
                yield from self._by_turns(iter(payloads))
            finally:
                work.cancel()
                if self._loop.runs:
                    self._ended.wait(2 * LEAVE_S)

    def _by_turns(self, source: Iterator[RawPayload]) -> Iterator[Item]:
        over, on_their_way = False, 0
        while on_their_way or not over:
            lot: list[RawPayload] = []
            if not over:
                lot, over = _pull(source, min(LOT, self._in_flight - on_their_way))
            on_their_way += len(lot)
            nothing_to_read = over or on_their_way == self._in_flight
            items = self._exchange(lot, over=over, wait=nothing_to_read and on_their_way > 0)
            on_their_way -= len(items)
            yield from items

    def _exchange(self, lot: list[RawPayload], *, over: bool, wait: bool) -> list[Item]:
        """Hand payloads over, and fetch what has come; ``wait`` until something has."""

        async def exchange(_: Client) -> list[Item]:
            for payload in lot:
                self._send.send_nowait(payload)
            if over:
                self._send.close()
            found: list[Item] = []
            while self._got.statistics().current_buffer_used or (wait and not found):
                got = await self._got.receive()
                if not isinstance(got, Exception):
                    found += got
                elif found:  # first what came before it
                    self._give.send_nowait(got)
                    break
                else:
                    raise got
            return found

        return self._loop.call(exchange)

    async def _work(self, client: Client) -> None:
        try:
            async with aclosing(self._count(client, self._payloads)) as batches:
                async for items in batches:
                    self._give.send_nowait(items)
        except Exception as error:  # it is the caller's to see
            self._give.send_nowait(error)
        finally:
            self._ended.set()


def _pull(source: Iterator[RawPayload], most: int) -> tuple[list[RawPayload], bool]:
    """Read some payloads; says too whether the source is over."""
    lot: list[RawPayload] = []
    ends = time.monotonic() + LOT_S
    while len(lot) < most and (not lot or time.monotonic() < ends):
        try:
            lot.append(next(source))
        except StopIteration:
            return lot, True
    return lot, False
