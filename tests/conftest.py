"""One server for the whole session, emptied before each test and checked for leaks after it.

With ``WEIGHBRIDGE_TEST_ACL=1`` it has the users of ``deploy/redis/users.acl``: what the tests start
logs in as the user that it would be, and nothing may have been refused at a test's end. The tests
themselves look as the default user, who may do all.
"""

import gc
from collections.abc import Iterator

import pytest
import redis
from hypothesis import settings
from support.acl import UNDER_ACL, log_in_by_role, refusals
from support.key_leaks import leaked_keys
from support.redis_server import server_for_tests

pytest_plugins = ["pytester"]

# The suite meets the same examples every time, so that it says something of the change at hand and
# not of luck; `make fuzz` looks for new ones.
settings.register_profile("suite", derandomize=True, print_blob=True)
settings.load_profile("suite")

LONG = ("failover", "fleet", "faults", "simulation", "cli", "worker", "servers", "stateful", "uses")
"""Folders of the longest files: of files that run side by side none is to be left at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long ones; all else stays in its order."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    folder = item.path.parent.name
    return LONG.index(folder) if folder in LONG else len(LONG)


def pytest_collection_finish() -> None:
    """Leave the thousands of tests that are collected now out of each collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of the session's server."""
    with server_for_tests(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the URL of an empty server; fail the test if it leaves keys that stay for ever."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        if UNDER_ACL:
            log_in_by_role(monkeypatch, redis_server)
            client.acl_log_reset()
        yield redis_server
        leaked = leaked_keys(client)
        refused = refusals(client) if UNDER_ACL else []
    if refused:
        pytest.fail(f"refused by the ACL: {refused}")
    if leaked:
        pytest.fail(f"keys without a TTL that nothing will ever remove: {leaked}")
