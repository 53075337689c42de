"""A primary dies with the queue; every client that waits gets its answer."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from failover.run import kill_while_counting
from support.topologies import Topology, cluster, watched_primary

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("place", [cluster, watched_primary])
async def test_every_waiting_client_gets_its_answer(
    place: Callable[[Path], AbstractContextManager[Topology]], tmp_path: Path
) -> None:
    with place(tmp_path) as servers:
        report = await kill_while_counting(servers, jobs=300, clients=3, rpm=12_000, kill_after=60)
    assert (report.counted, dict(report.wrong)) == (300, {})
