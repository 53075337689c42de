"""A gate that holds every call on its way out, so that tests can act while calls are in flight."""

import asyncio


class Gate:
    """Open at first."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()
        self._held = 0
        self._changed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._opened.is_set()

    @property
    def held(self) -> int:
        """Calls that wait for the gate now."""
        return self._held

    def close(self) -> None:
        """Hold the calls that come to be answered from now on."""
        self._opened.clear()

    def open(self) -> None:
        """Let all go."""
        self._opened.set()

    async def passed(self) -> None:
        """Return once the gate is open."""
        if self._opened.is_set():
            return
        self._count(1)
        try:
            await self._opened.wait()
        finally:
            self._count(-1)

    async def holds(self, calls: int) -> None:
        """Return once at least that many calls wait."""
        while self._held < calls:
            await self._changed.wait()

    async def holds_none(self) -> None:
        """Return once no call waits: all were let go, or their clients have left."""
        while self._held:
            await self._changed.wait()

    def _count(self, calls: int) -> None:
        self._held += calls
        self._changed.set()
        self._changed = asyncio.Event()
