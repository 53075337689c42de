"""The gateway's life: bound to an address, answering until told to stop, then draining."""

import resource
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial

import anyio
import uvicorn
from anyio.abc import TaskStatus

from weighbridge.errors import SettingsError
from weighbridge_worker.gateway.app import build_app
from weighbridge_worker.gateway.connections import BoundedProtocol
from weighbridge_worker.gateway.service import Gateway

KEEP_ALIVE_S = 75
"""Longer than the SDKs keep an idle connection, so that they are the ones to close it."""

LAST_ANSWERS_S = 2
"""What those who were told to leave get for it, after the drain."""

BACKLOG = 2048
SPARE_FILES = 64


class Server(uvicorn.Server):
    """Leaves the signals to its owner."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Capture none."""
        return nullcontext()


class GatewayServer:
    """A gateway that answers at ``base_url``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        settings = gateway.settings
        self.listener = _listen(settings.host, settings.port)
        host, self.port = self.listener.getsockname()[:2]
        self.base_url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._stopping = anyio.Event()
        self._server = Server(
            uvicorn.Config(
                build_app(gateway),
                http=partial(BoundedProtocol, limits=settings),  # type: ignore[arg-type]
                loop="none",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=int(settings.drain_s) + LAST_ANSWERS_S,
            )
        )

    @property
    def connections(self) -> int:
        """Count the open ones."""
        return len(self._server.server_state.connections)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Answer until ``stop``, and then what is open."""
        allow_files(self._gateway.settings.max_connections + SPARE_FILES)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._drain)
            task_status.started()
            try:
                await self._server.serve(sockets=[self.listener])
            except BaseException:
                await self._break_off()
                raise
            tasks.cancel_scope.cancel()

    def stop(self) -> None:
        """Take no more connections, and end once what is open has been answered."""
        self._stopping.set()

    def stop_now(self) -> None:
        """Answer at once whoever still waits."""
        self.stop()
        self._gateway.last_call.set()

    async def _break_off(self) -> None:
        """Close what is open although nobody said that it should end."""
        self._gateway.last_call.set()
        with anyio.move_on_after(LAST_ANSWERS_S, shield=True):
            await self._server.shutdown(sockets=[self.listener])

    async def _drain(self) -> None:
        await self._stopping.wait()
        self._gateway.lookout.close()
        self._server.should_exit = True
        await anyio.sleep(self._gateway.settings.drain_s)
        self._gateway.last_call.set()


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[GatewayServer]:
    """Answer while the block runs, and drain.

    Raises:
        SettingsError: the address cannot be had.
    """
    server = GatewayServer(gateway)
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.run)
        try:
            yield server
        finally:
            server.stop()


def _listen(host: str, port: int) -> socket.socket:
    try:
        [(family, *_, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on WEIGHBRIDGE_GATEWAY_HOST {host} WEIGHBRIDGE_GATEWAY_PORT {port}"
            f" ({error.strerror}): choose another port, or 0 for a free one"
        ) from None
    return listener


def allow_files(wanted: int) -> None:
    """Raise our own bound on open files to what the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
