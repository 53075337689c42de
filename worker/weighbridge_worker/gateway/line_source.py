"""A client that sends lines: read while it sends, cut when it sends nothing and is owed nothing."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

import anyio
from starlette.types import Message, Receive

from weighbridge_worker.gateway.line_reader import LineReader, ReadLine
from weighbridge_worker.gateway.pace import MIN_BYTES_PER_S

Ending = Literal["open", "whole", "gone", "slow"]


class LineSource:
    """One request's lines.

    Args:
        patience_s: how long the client may be silent while all it sent has been answered.
    """

    def __init__(self, receive: Receive, reader: LineReader, *, patience_s: float) -> None:
        self._receive = receive
        self._reader = reader
        self._patience_s = patience_s
        self._waited_s = 0.0
        self._bytes = 0
        self.ending: Ending = "open"
        """How the lines ended: ``gone`` if the client left, ``slow`` if it was cut."""

    async def lines(self) -> AsyncGenerator[ReadLine, None]:
        """Yield lines until the body is over, or the client is gone or too slow."""
        while self.ending == "open":
            message = await self._next()
            if message is None:
                self.ending = "slow"
            elif message["type"] == "http.disconnect":
                self.ending = "gone"
            else:
                async with aclosing(self._reader.feed(message.get("body", b""))) as lines:
                    async for line in lines:
                        self._moved()
                        yield line
                if not message.get("more_body", False):
                    self.ending = "whole"
                    for line in self._reader.end():
                        yield line

    async def _next(self) -> Message | None:
        """Receive; None from a client that is silent for too long.

        Only waiting here counts: what is not read, for there is no room, the client cannot send.
        """
        while True:
            began = anyio.current_time()
            with anyio.move_on_after(self._patience_s - self._waited_s):
                message = await self._receive()
                self._waited_s += anyio.current_time() - began
                self._bytes += len(message.get("body", b""))
                if self._bytes >= MIN_BYTES_PER_S * self._patience_s:
                    self._moved()
                return message
            if not self._reader.outstanding():
                return None
            self._moved()

    def _moved(self) -> None:
        self._waited_s, self._bytes = 0.0, 0
