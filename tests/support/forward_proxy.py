"""A forward proxy for plain HTTP, as one machine's way to an endpoint, that can break."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketStream

NETWORK = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


class ForwardProxy:
    """Carries connections to the place that their first request names.

    Attributes:
        broken: close every connection, new and old, as soon as something comes over it.
        carried: pieces of requests that were passed on; refused: those that were not.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.broken = False
        self.carried = 0
        self.refused = 0

    async def serve(self, client: SocketStream) -> None:
        """Carry one connection."""
        with suppress(*NETWORK):
            async with client:
                first = await client.receive()
                place = urlsplit(first.split(b" ", 2)[1].decode())
                assert place.hostname
                assert place.port
                async with (
                    await anyio.connect_tcp(place.hostname, place.port) as endpoint,
                    anyio.create_task_group() as tasks,
                ):
                    tasks.start_soon(self._answer, endpoint, client)
                    await self._ask(client, endpoint, first)
                    tasks.cancel_scope.cancel()

    async def _ask(self, client: SocketStream, endpoint: SocketStream, piece: bytes) -> None:
        with suppress(*NETWORK):
            while not self.broken:
                self.carried += 1
                await endpoint.send(piece)
                piece = await client.receive()
            self.refused += 1

    async def _answer(self, endpoint: SocketStream, client: SocketStream) -> None:
        with suppress(*NETWORK):
            while True:
                await client.send(await endpoint.receive())


@asynccontextmanager
async def forward_proxy() -> AsyncIterator[ForwardProxy]:
    """Run a proxy while the block runs."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    proxy = ForwardProxy(listener.extra(anyio.abc.SocketAttribute.local_port))
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, proxy.serve)
        yield proxy
        tasks.cancel_scope.cancel()
