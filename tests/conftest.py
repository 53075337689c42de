"""One server for the whole session, emptied before each test and checked for leaks after it."""

from collections.abc import Iterator

import pytest
import redis
from support.key_leaks import leaked_keys
from support.redis_server import server_for_tests


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of the session's server."""
    with server_for_tests(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """Yield the URL of an empty server; fail the test if it leaves keys that stay for ever."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        yield redis_server
        leaked = leaked_keys(client)
    if leaked:
        pytest.fail(f"keys without a TTL that nothing will ever remove: {leaked}")
