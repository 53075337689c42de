"""``weighbridge gateway``: the HTTP service, drained by SIGTERM or Ctrl-C."""

import os
from typing import TYPE_CHECKING

import anyio

from weighbridge.errors import SettingsError
from weighbridge.settings import QueueSettings, load
from weighbridge_worker.cli.collector import collect_less
from weighbridge_worker.cli.event_loop import fastest_loop
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.cli.stop_signals import heed_signals
from weighbridge_worker.cli.tracing import tracing
from weighbridge_worker.logs import make_logger

if TYPE_CHECKING:
    from weighbridge_worker.gateway.settings import GatewaySettings


def run_gateway(*, redis_url: str | None, host: str | None, port: int | None) -> int:
    """Run the command; returns the exit status."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise SettingsError(
            "the gateway needs more than the worker does; install it with"
            " pip install 'weighbridge[gateway]'"
        ) from None
    from weighbridge_worker.gateway.settings import GatewaySettings

    queue = load(QueueSettings, os.environ, redis_url=redis_url)
    settings = load(GatewaySettings, os.environ, host=host, port=port)
    anyio.run(_serve, queue, settings, backend_options=fastest_loop())
    return ExitStatus.OK


async def _serve(queue: QueueSettings, settings: "GatewaySettings") -> None:
    from weighbridge_worker.gateway.server import GatewayServer
    from weighbridge_worker.gateway.service import open_gateway

    log = make_logger(settings.log_level, settings.log_format)
    async with (
        tracing(os.environ, "gateway", log) as tracer,
        open_gateway(queue, settings, log, tracer=tracer) as gateway,
        anyio.create_task_group() as tasks,
    ):
        server = GatewayServer(gateway)
        await tasks.start(heed_signals, server.stop, server.stop_now)
        log.info("gateway_started", base_url=server.base_url, open=gateway.tenants is None)
        collect_less()
        await server.run()
        log.info("gateway_stopped")
        tasks.cancel_scope.cancel()
