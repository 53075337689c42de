"""A worker beside a test that has no event loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from support.pools import running_pool


@contextmanager
def pool_thread(url: str, counter: Any, **settings: Any) -> Iterator[BlockingPortal]:
    """Run a worker in a thread while the block runs; gives the portal to its loop."""
    with (
        start_blocking_portal(name="pool") as portal,
        portal.wrap_async_context_manager(running_pool(url, counter, **settings)),
    ):
        yield portal
