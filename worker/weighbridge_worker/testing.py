"""A whole pool beside a test: an embedded server, the sandbox and a worker, in a thread."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
from anyio.from_thread import start_blocking_portal

from weighbridge.scope import make_scope
from weighbridge.settings import QueueSettings
from weighbridge.testing import WeighbridgePool
from weighbridge_worker.counter import anthropic_counter
from weighbridge_worker.logs import make_logger
from weighbridge_worker.pool import open_pool
from weighbridge_worker.sandbox import SandboxSettings, sandbox
from weighbridge_worker.server import ServerProcess, find_server_binary
from weighbridge_worker.settings import ANTHROPIC_VERSION, WorkerSettings

RPM = 6_000
"""Nobody's tests wait long for permits, and a busy machine does not miss its slots."""


@contextmanager
def sandbox_pool() -> Iterator[WeighbridgePool]:
    """Run a pool of its own while the block runs; nothing of it stays.

    Raises:
        SettingsError: there is no server to run.
        QueueUnreachable: the server does not start.
    """
    binary = find_server_binary()
    # Not below pytest's own folders: a unix socket's path is short.
    with tempfile.TemporaryDirectory(prefix="weighbridge-") as folder:
        server = ServerProcess(binary, Path(folder))
        server.start()
        try:
            with (
                start_blocking_portal(name="weighbridge-pool") as portal,
                portal.wrap_async_context_manager(_pool(server.url)) as pool,
            ):
                yield pool
        finally:
            server.stop()


@asynccontextmanager
async def _pool(url: str) -> AsyncIterator[WeighbridgePool]:
    queue = QueueSettings(redis_url=url)
    async with sandbox(SandboxSettings(rpm=2 * RPM, depth=1000)) as stand_in:
        worker = WorkerSettings(base_url=stand_in.base_url, api_key="sandbox", rpm=RPM)
        scope = make_scope(
            base_url="sandbox", anthropic_version=ANTHROPIC_VERSION, digest_key=queue.digest_key
        )
        log = make_logger("error", "console")
        async with (
            anthropic_counter(worker) as counter,
            open_pool(queue, worker, counter, scope, log) as running,
            anyio.create_task_group() as tasks,
        ):
            await tasks.start(running.run)
            try:
                yield WeighbridgePool(queue, stand_in.base_url)
            finally:
                running.stop()
