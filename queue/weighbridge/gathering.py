"""What many tasks leave for one other, which takes all that is there at once.

A future for a wait, and nothing for a thing that is left: streams and events of anyio cost several
microseconds for each.
"""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """Things in the order in which they were left; one task takes them."""

    def __init__(self) -> None:
        self._things: list[T] = []
        self._called: asyncio.Future[None] | None = None

    def put(self, thing: T) -> None:
        """Leave a thing; never waits."""
        self._things.append(thing)
        if self._called is not None and not self._called.done():
            self._called.set_result(None)

    async def wait(self) -> None:
        """Wait until something is there."""
        if not self._things:
            self._called = asyncio.get_running_loop().create_future()
            await self._called

    def take(self, at_most: int) -> list[T]:
        """Take the first few."""
        taken, self._things = self._things[:at_most], self._things[at_most:]
        return taken

    def take_all(self) -> list[T]:
        """Take what is there."""
        return self.take(len(self._things))

    def put_back(self, things: list[T]) -> None:
        """Leave things before all others."""
        self._things = things + self._things


class Places:
    """Bounds what is on its way; one task takes places."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._called: asyncio.Future[None] | None = None

    def take_free(self) -> bool:
        """Take a place if there is one."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        """Take a place, as soon as there is one."""
        while self._free <= 0:
            self._called = asyncio.get_running_loop().create_future()
            await self._called
        self._free -= 1

    def give(self, number: int = 1) -> None:
        """Give places back."""
        self._free += number
        if self._called is not None and not self._called.done():
            self._called.set_result(None)
