"""A body cut into lines as it comes, within bounds: of a line, of a stream, of all requests.

A line that is too long, or for which there is no memory, is read over and handed on as refused, so
that the lines behind it are counted.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

import anyio

from weighbridge.errors import PayloadTooLarge
from weighbridge.payload import MAX_BODY_BYTES
from weighbridge.records import NotCountable
from weighbridge_worker.gateway.api_errors import NO_MEMORY, ApiError
from weighbridge_worker.gateway.bounds import BodyBudget

MAX_STREAM_BYTES: Final = 2 * MAX_BODY_BYTES
"""What one stream holds: any line while another of the largest is being counted."""

TOO_LONG: Final = NotCountable(
    code=PayloadTooLarge.code, message=f"the line has more than {MAX_BODY_BYTES:,} bytes"
)
CROWDED: Final = NotCountable(code=NO_MEMORY.code, message=NO_MEMORY.message)


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line as it came, or why it was not kept; ``number`` counts from 1, empty lines included."""

    number: int
    text: bytes
    refusal: NotCountable | None = None


class LineReader:
    """Cuts one body into lines, and holds their bytes until they are given back.

    Args:
        budget: the bytes that all requests hold.
        max_line: bound on a line.
    """

    def __init__(self, budget: BodyBudget, *, max_line: int = MAX_BODY_BYTES) -> None:
        self._budget = budget
        self._max_line = max_line
        self._number = 1
        self._parts: list[bytes] = []
        self._size = 0
        self._refusal: NotCountable | None = None
        self._out: dict[int, int] = {}
        self._held = 0
        self._returned = anyio.Event()

    @property
    def number(self) -> int:
        """The number of the line that is being read."""
        return self._number

    def outstanding(self) -> list[int]:
        """List the lines that have been yielded and not given back."""
        return list(self._out)

    async def feed(self, chunk: bytes) -> AsyncGenerator[ReadLine, None]:
        """Yield the lines that a piece of the body completes.

        Waits for lines to be given back where they take all the room that there is.
        """
        *ends, rest = chunk.split(b"\n")
        for piece in ends:
            await self._add(piece)
            for line in self.end():
                yield line
        await self._add(rest)

    def end(self) -> list[ReadLine]:
        """Complete the line that is being read; empty ones are passed over."""
        number, text, refusal = self._number, b"".join(self._parts), self._refusal
        size, self._size = self._size, 0
        self._number += 1
        self._parts, self._refusal = [], None
        if refusal is None and not text.strip():
            self._release(size)
            return []
        self._out[number] = size
        return [ReadLine(number, text, refusal)]

    def give_back(self, number: int) -> None:
        """Forget a line that has been answered."""
        self._release(self._out.pop(number))
        self._returned.set()
        self._returned = anyio.Event()

    def close(self) -> None:
        """Forget all lines."""
        self._release(self._held)
        self._out.clear()

    async def _add(self, piece: bytes) -> None:
        if self._refusal is not None:
            return
        if self._size + len(piece) > self._max_line:
            self._refuse(TOO_LONG)
        elif not await self._have_room(len(piece)):
            self._refuse(CROWDED)
        else:
            self._parts.append(piece)
            self._size += len(piece)

    def _refuse(self, refusal: NotCountable) -> None:
        self._refusal = refusal
        self._release(self._size)
        self._parts, self._size = [], 0

    async def _have_room(self, size: int) -> bool:
        """Take room; False if there is none, and nothing of ours will make any."""
        while not self._take(size):
            if not self._out:
                return False
            await self._returned.wait()
        return True

    def _take(self, size: int) -> bool:
        if self._held + size > MAX_STREAM_BYTES:
            return False
        try:
            self._budget.take(size)
        except ApiError:
            return False
        self._held += size
        return True

    def _release(self, size: int) -> None:
        self._budget.give_back(size)
        self._held -= size
