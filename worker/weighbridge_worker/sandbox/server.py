"""The stand-in's life: bound to an address, answering until its context ends."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio
from aiohttp import web

from weighbridge.errors import SettingsError
from weighbridge_worker.sandbox.admin_api import RATE_LIMITS_PATH, AdminApi
from weighbridge_worker.sandbox.bucket import TokenBucket
from weighbridge_worker.sandbox.control import Control
from weighbridge_worker.sandbox.endpoint import COUNT_PATH, CountEndpoint
from weighbridge_worker.sandbox.faults import Faults
from weighbridge_worker.sandbox.gate import Gate
from weighbridge_worker.sandbox.ledger import Ledger
from weighbridge_worker.sandbox.settings import SandboxSettings

_LAST_ANSWERS_S: Final = 0.01
"""What calls in flight get when the server stops; held and dripping ones would take for ever."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running stand-in, with everything that a test in the same process may hold."""

    base_url: str
    ledger: Ledger
    faults: Faults
    gate: Gate


@asynccontextmanager
async def sandbox(
    settings: SandboxSettings | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Sandbox]:
    """Serve the stand-in while the context lasts; port 0 takes a free one.

    Raises:
        SettingsError: the address cannot be had.
    """
    settings = settings or SandboxSettings()
    ledger = Ledger(settings.ledger_size, time.monotonic)
    faults = Faults(settings.seed)
    gate = Gate()
    runner = web.AppRunner(
        _application(settings, ledger, faults, gate),
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        shutdown_timeout=_LAST_ANSWERS_S,
    )
    await runner.setup()
    try:
        base_url = await _listen(runner, host, port)
        yield Sandbox(base_url=base_url, ledger=ledger, faults=faults, gate=gate)
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


async def serve(
    settings: SandboxSettings,
    host: str,
    port: int,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve the stand-in until cancelled.

    Args:
        announce: told the base URL once the server answers there.

    Raises:
        SettingsError: the address cannot be had.
    """
    async with sandbox(settings, host=host, port=port) as running:
        if announce is not None:
            announce(running.base_url)
        await anyio.sleep_forever()


def _application(
    settings: SandboxSettings, ledger: Ledger, faults: Faults, gate: Gate
) -> web.Application:
    bucket = TokenBucket(settings.rpm, settings.depth, time.monotonic)
    endpoint = CountEndpoint(settings, bucket=bucket, faults=faults, gate=gate, ledger=ledger)
    application = web.Application(client_max_size=settings.max_body_bytes)
    application.router.add_post(COUNT_PATH, endpoint.count)
    application.router.add_get(RATE_LIMITS_PATH, AdminApi(settings).rate_limits)
    application.router.add_routes(Control(faults=faults, gate=gate, ledger=ledger).routes())
    application.router.add_route("*", "/{path:.*}", endpoint.elsewhere)
    return application


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise SettingsError(
            f"the sandbox cannot listen on {host} port {port} ({error.strerror}):"
            " choose another port, or 0 for a free one"
        ) from None
    taken = runner.addresses[0][1]
    return f"http://[{host}]:{taken}" if ":" in host else f"http://{host}:{taken}"
