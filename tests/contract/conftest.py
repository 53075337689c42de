"""The same facts on a real server and on the in-memory fake.

``WEIGHBRIDGE_TEST_CLUSTER=1`` adds a Cluster of three primaries.

The fixture may yield: redis-py's clients have no cancel scopes that would mind another task.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager

import pytest
import pytest_asyncio
from support.queue_under_test import QueueUnderTest, queue_on_fake, queue_on_server
from support.topologies import Topology, cluster


def pytest_configure(config: pytest.Config) -> None:
    """Declare this suite's own marker."""
    config.addinivalue_line("markers", "server_only(reason): what the in-memory fake cannot do")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on both, but those that only a server can pass."""
    if "opening" in metafunc.fixturenames:
        server_only = metafunc.definition.get_closest_marker("server_only")
        places = ["server"] if server_only else ["server", "fake"]
        if os.environ.get("WEIGHBRIDGE_TEST_CLUSTER") == "1":
            places.append("cluster")
        metafunc.parametrize("opening", places, indirect=True)


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    """Yield a cluster of three primaries, for the runs that ask for it."""
    with cluster(tmp_path_factory.mktemp("cluster"), replicas=False) as running:
        yield running


@pytest.fixture
def opening(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[QueueUnderTest]:
    """Return an empty queue that is still to be opened."""
    if request.param == "server":
        return queue_on_server(request.getfixturevalue("redis_url"))
    if request.param == "cluster":
        place: Topology = request.getfixturevalue("nodes")
        place.flush()
        return queue_on_server(place.url)
    return queue_on_fake()


@pytest_asyncio.fixture
async def queue(
    opening: AbstractAsyncContextManager[QueueUnderTest],
) -> AsyncIterator[QueueUnderTest]:
    """Yield an empty queue; fail the test if it leaves one that contradicts itself."""
    async with opening as opened:
        yield opened
        assert await opened.inconsistencies() == []
