"""Looks into the cache that are asked for together go together, and each gets its own answer."""

from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from weighbridge import Counted, QueueUnreachable
from weighbridge.lookup import LOOK_AT_ONCE, Lookup
from weighbridge.records import Result

pytestmark = pytest.mark.asyncio


class Cache:
    """Answers every digest but "none", once the gate is open; notes what was asked at once."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.gate = anyio.Event()
        self.broken = False

    async def read(self, digests: Sequence[str]) -> list[Result | None]:
        """Read some."""
        self.asked.append(list(digests))
        await self.gate.wait()
        if self.broken:
            raise RedisConnectionError("canary")
        return [None if digest == "none" else counted(digest) for digest in digests]


def counted(digest: str) -> Counted:
    return Counted(digest=digest, model="m", input_tokens=1, source="api", counted_at=1)


async def test_what_is_asked_during_a_round_trip_goes_into_the_next() -> None:
    cache, found = Cache(), dict[str, Result | None]()
    lookup = Lookup(cache.read)

    async def look(digest: str) -> None:
        found[digest] = await lookup.look(digest)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lookup.run)
        tasks.start_soon(look, "first")
        await anyio.wait_all_tasks_blocked()
        digests = [f"{number}" for number in range(LOOK_AT_ONCE + 10)]
        for digest in [*digests, "none"]:
            tasks.start_soon(look, digest)
        await anyio.wait_all_tasks_blocked()
        cache.gate.set()
        with anyio.fail_after(30):
            while len(found) < len(digests) + 2:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert [len(asked) for asked in cache.asked] == [1, LOOK_AT_ONCE, 11]
    assert found.pop("none") is None
    assert found == {digest: counted(digest) for digest in ["first", *digests]}


async def test_who_leaves_takes_nobodys_answer_along() -> None:
    cache = Cache()
    lookup = Lookup(cache.read)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lookup.run)
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(lookup.look, "same")
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        cache.gate.set()
        with anyio.fail_after(30):
            assert await lookup.look("same") == counted("same")
        tasks.cancel_scope.cancel()


async def test_a_server_that_is_gone_is_told_to_each_and_the_next_look_asks_again() -> None:
    cache = Cache()
    cache.broken = True
    cache.gate.set()
    lookup = Lookup(cache.read)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lookup.run)
        for digest in ("a", "b"):
            with pytest.raises(QueueUnreachable) as caught:
                await lookup.look(digest)
            assert "canary" not in str(caught.value)
        cache.broken = False
        assert await lookup.look("a") == counted("a")
        tasks.cancel_scope.cancel()
