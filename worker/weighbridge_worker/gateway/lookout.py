"""One look at the pool for all who watch it, a second apart.

While nobody watches, a look now and then keeps the minutes that a page shows when it is opened.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import anyio
import msgspec
from structlog.typing import FilteringBoundLogger

from weighbridge_worker.gateway.api_errors import ApiError
from weighbridge_worker.watch.snapshot import Snapshot
from weighbridge_worker.watch.watcher import Watcher

EVERY_S: Final = 1.0
UNWATCHED_S: Final = 15.0
MAX_VIEWERS: Final = 100

TOO_MANY: Final = ApiError(
    503, "as many watch this gateway as may; try again", code="too_many_viewers", retry_after_s=10
)


class Lookout:
    """Looks at the pool for everybody, in one task."""

    def __init__(self, watcher: Watcher, log: FilteringBoundLogger) -> None:
        self._watcher = watcher
        self._log = log
        self._latest: Snapshot | None = None
        self._event = b""
        self._came = anyio.Event()
        self._watched = anyio.Event()
        self.viewers = 0
        self.closed = False

    async def run(self) -> None:
        """Look, once a second while somebody watches, until cancelled."""
        while True:
            self._show(await self._look())
            await anyio.sleep(EVERY_S)
            if not self.viewers:
                self._watched = anyio.Event()
                with anyio.move_on_after(UNWATCHED_S - EVERY_S):
                    await self._watched.wait()

    def close(self) -> None:
        """End every stream."""
        self.closed = True
        self._came.set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count a viewer in while the block runs.

        Raises:
            ApiError: there are too many.
        """
        if self.viewers >= MAX_VIEWERS:
            raise TOO_MANY
        self.viewers += 1
        self._watched.set()
        try:
            yield
        finally:
            self.viewers -= 1

    def history(self) -> bytes:
        """Return the last minutes as an event."""
        return encode_event(b"history", self._watcher.columns())

    @property
    def number(self) -> int:
        """The newest snapshot's number; 0 if there is none."""
        return 0 if self._latest is None else self._latest.number

    async def newer(self, than: int) -> tuple[Snapshot, bytes] | None:
        """Wait for a snapshot newer than one; None once the gateway closes."""
        while not self.closed and self.number <= than:
            await self._came.wait()
        return None if self.closed or self._latest is None else (self._latest, self._event)

    async def _look(self) -> Snapshot:
        """Look; whatever is wrong with what is seen, the gateway's other work goes on."""
        try:
            return await self._watcher.look()
        except Exception as error:
            self._log.error("look_broke", error=type(error).__name__)
            return self._watcher.blind(f"a look at it broke ({type(error).__name__})")

    def _show(self, seen: Snapshot) -> None:
        self._latest, self._event = seen, encode_event(b"snapshot", seen)
        came, self._came = self._came, anyio.Event()
        came.set()


def encode_event(name: bytes, value: Any) -> bytes:
    """Write a server-sent event, its data as JSON."""
    return b"event: " + name + b"\ndata: " + msgspec.json.encode(value) + b"\n\n"
