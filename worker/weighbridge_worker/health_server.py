"""``GET /live`` and ``/ready``: a worker's health over HTTP, 200 or 503 with the report as JSON;
``GET /metrics``: what it has done, and what lies in the queue, for Prometheus.

It runs on the worker's own loop, so that a loop that stands still does not answer.
"""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import msgspec
from aiohttp import web

from weighbridge.errors import SettingsError
from weighbridge_worker.health import HealthReport

Expose = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Writes the metrics in the form that an ``Accept`` header asks for; gives their content type."""


@asynccontextmanager
async def health_server(
    report: Callable[[], Awaitable[HealthReport]],
    expose: Expose,
    host: str,
    port: int,
    *,
    listener: socket.socket | None = None,
) -> AsyncIterator[None]:
    """Answer while the block runs; port 0 answers nothing.

    Args:
        report: judges the worker.
        expose: writes its metrics.
        listener: answer here, not at the address.

    Raises:
        SettingsError: the address cannot be had.
    """
    if not port and listener is None:
        yield
        return

    async def live(_request: web.Request) -> web.Response:
        seen = await report()
        return _answer(seen, good=seen.live)

    async def ready(_request: web.Request) -> web.Response:
        seen = await report()
        return _answer(seen, good=seen.ready)

    async def metrics(request: web.Request) -> web.Response:
        text, content_type = await expose(request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})

    application = web.Application()
    application.router.add_get("/live", live)
    application.router.add_get("/ready", ready)
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        if listener is not None:
            await web.SockSite(runner, listener).start()
        else:
            await _listen(runner, host, port)
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


def _answer(report: HealthReport, *, good: bool) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(report),
        status=200 if good else 503,
        content_type="application/json",
    )


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise SettingsError(
            f"cannot listen on WEIGHBRIDGE_HEALTH_HOST {host} WEIGHBRIDGE_HEALTH_PORT {port}"
            f" ({error.strerror}); choose another port, one for each worker of a machine"
        ) from None
