"""What ends a taker's wait, and what only looks whether it does."""

from typing import Any, cast

import anyio
import pytest
from support.pools import until

from weighbridge_worker.waits import Waits

pytestmark = pytest.mark.asyncio


class Places:
    """Places that a test frees, and how often somebody looked at them."""

    def __init__(self) -> None:
        self.free = 0
        self.looks = 0

    def enough(self) -> bool:
        self.looks += 1
        return self.free >= 2


async def test_a_wait_goes_on_until_what_it_waits_for_is_told() -> None:
    places, ended = Places(), anyio.Event()
    waits = Waits(cast("Any", None), anyio.Event())

    async def wait() -> None:
        await waits.until(places.enough)
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await until(lambda: places.looks == 1)
        for _ in range(2):
            assert not ended.is_set()
            places.free += 1
            waits.tell()
        with anyio.fail_after(1):
            await ended.wait()
    assert places.looks == 4  # at first, at each word, and once awake


async def test_what_is_told_while_nobody_waits_is_seen_by_the_next_wait() -> None:
    places = Places()
    waits = Waits(cast("Any", None), anyio.Event())
    places.free = 2
    waits.tell()
    assert places.looks == 0
    with anyio.fail_after(1):
        await waits.until(places.enough)
