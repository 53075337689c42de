"""``weighbridge worker``: one worker, drained by SIGTERM or Ctrl-C; or the parent of several."""

import os
from functools import partial
from typing import TYPE_CHECKING

import anyio

from weighbridge.scope import make_scope
from weighbridge.settings import QueueSettings, load
from weighbridge_worker.cli.assembly import given_rpm, require_credentials, say
from weighbridge_worker.cli.auto_rate import log_found, resolve_rate
from weighbridge_worker.cli.collector import collect_less, importing
from weighbridge_worker.cli.event_loop import fastest_loop
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.cli.stop_signals import heed_signals
from weighbridge_worker.cli.tracing import tracing
from weighbridge_worker.logs import make_logger
from weighbridge_worker.pool import open_pool
from weighbridge_worker.settings import ANTHROPIC_VERSION, SAFE_RPM, WorkerSettings
from weighbridge_worker.startup import check_server

if TYPE_CHECKING:
    from weighbridge_worker.cli.parent_link import ParentLink

WARM_CONNECTIONS = 4


def run_worker(
    *, redis_url: str | None, rpm: str | None, concurrency: int | None, processes: int | None
) -> int:
    """Run the command; returns the exit status."""
    queue = load(QueueSettings, os.environ, redis_url=redis_url)
    worker = load(
        WorkerSettings,
        os.environ,
        rpm=given_rpm(rpm),
        concurrency=concurrency,
        processes=processes,
    )
    require_credentials(worker)
    if worker.rpm is None:
        say(f"WEIGHBRIDGE_RPM is not set: calling at {SAFE_RPM} requests a minute.")
    if worker.processes > 1:
        from weighbridge_worker.cli.processes import run_processes

        given = {
            "WEIGHBRIDGE_REDIS_URL": redis_url,
            "WEIGHBRIDGE_RPM": rpm,
            "WEIGHBRIDGE_CONCURRENCY": concurrency,
        }
        return run_processes(worker, given)
    anyio.run(_work, queue, worker, None, backend_options=fastest_loop())
    return ExitStatus.OK


def run_worker_process() -> int:
    """Run one of several workers, as ``processes.py`` starts it; returns the exit status."""
    from weighbridge_worker.cli.parent_link import parent_link

    queue, worker = load(QueueSettings, os.environ), load(WorkerSettings, os.environ)
    with parent_link(reports=bool(worker.health_port)) as parent:
        anyio.run(_work, queue, worker, parent, backend_options=fastest_loop())
    return ExitStatus.OK


async def _work(queue: QueueSettings, worker: WorkerSettings, parent: "ParentLink | None") -> None:
    log = make_logger(worker.log_level, worker.log_format)
    await check_server(queue, log)
    with importing():
        from weighbridge_worker.counter import anthropic_counter
        from weighbridge_worker.health_server import health_server
        from weighbridge_worker.metrics import WorkerMetrics

    scope = make_scope(
        base_url=worker.base_url,
        anthropic_version=ANTHROPIC_VERSION,
        digest_key=queue.digest_key,
    )
    async with anthropic_counter(worker) as counter, tracing(os.environ, "worker", log) as tracer:
        worker = await resolve_rate(queue, worker, counter, partial(log_found, log))
        async with (
            open_pool(queue, worker, counter, scope, log, tracer=tracer) as pool,
            health_server(
                pool.health,
                WorkerMetrics(pool).expose,
                worker.health_host,
                worker.health_port,
                listener=parent.listener if parent else None,
            ),
            anyio.create_task_group() as tasks,
        ):
            await tasks.start(heed_signals, pool.drain, pool.stop)
            if parent is not None:
                await tasks.start(parent.heed, pool.drain, pool.stop, log)
            await counter.warm(min(WARM_CONNECTIONS, worker.concurrency))
            collect_less()
            await pool.run(task_status=parent or anyio.TASK_STATUS_IGNORED)
            tasks.cancel_scope.cancel()
