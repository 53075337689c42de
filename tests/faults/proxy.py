"""A link to the server that can be broken: reset, silent, slow, or losing a request or a reply."""

import asyncio
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

CHUNK = 2**16
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing then sends RST."""


@dataclass(eq=False, slots=True)
class Trap:
    """Waits for a request that contains a word, and keeps it or its reply.

    Args:
        forwards: the server gets the request, and only its reply is lost.
    """

    word: bytes
    forwards: bool
    caught: anyio.Event = field(default_factory=anyio.Event)


class Proxy:
    """Listens on loopback for one client, and speaks to a server's socket.

    Args:
        upstream: the server's unix socket.
    """

    def __init__(self, upstream: Path) -> None:
        self.upstream = upstream
        self._links: set[tuple[SocketStream, anyio.CancelScope]] = set()
        self._flows = anyio.Event()
        self._flows.set()
        self._trap: Trap | None = None
        self._sprung = False
        self._random = random.Random(0)
        self.port = 0
        self.delay_s = 0.0
        self.lose_share = 0.0
        """Of the requests: they reach the server, and the link is reset in place of a reply."""
        self.resets = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Carry until cancelled; started once the port is known."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.port = listener.extra(SocketAttribute.local_port)
        async with listener:
            task_status.started()
            await listener.serve(self._carry)

    def trap(self, word: bytes, *, forwards: bool) -> Trap:
        """Lay a trap for the next such request; the link it came by stays silent."""
        self._trap = Trap(word, forwards)
        return self._trap

    def disarm(self) -> None:
        """Take a trap away; what it has kept is reset, so that its client sends it again."""
        self._trap = None
        if self._sprung:
            self._sprung = False
            self.restore()
            self.reset()

    def reset(self) -> int:
        """Reset every link; returns how many there were."""
        links = list(self._links)
        for client, scope in links:
            self._reset(client, scope)
        return len(links)

    def silence(self) -> None:
        """Carry nothing more, and tell nobody: the links are half open."""
        self._flows = anyio.Event()

    def restore(self) -> None:
        """Carry again; what stood still goes on."""
        self._flows.set()

    async def _carry(self, client: SocketStream) -> None:
        try:
            server = await asyncio.open_unix_connection(self.upstream)
        except OSError:  # the server is away, and its client learns it the same way
            await client.aclose()
            return
        with anyio.CancelScope() as scope:
            link = (client, scope)
            self._links.add(link)
            try:
                async with client, anyio.create_task_group() as tasks:
                    tasks.start_soon(self._requests_of, client, server[1], scope)
                    tasks.start_soon(self._replies_to, client, server[0], scope)
            finally:
                self._links.discard(link)
                server[1].close()

    async def _requests_of(
        self, client: SocketStream, server: asyncio.StreamWriter, scope: anyio.CancelScope
    ) -> None:
        with _until_broken(scope):
            while True:
                request = await client.receive(CHUNK)
                await self._pass()
                if (trap := self._trap) is not None and trap.word in request:
                    self._trap = None
                    await self._spring(trap, request, server)
                server.write(request)
                await server.drain()
                if request.startswith(b"*") and self._random.random() < self.lose_share:
                    self._reset(client, scope)

    async def _spring(self, trap: Trap, request: bytes, server: asyncio.StreamWriter) -> None:
        """Keep the request, or its reply, for ever."""
        if trap.forwards:
            self.silence()
            server.write(request)
            await server.drain()
        self._sprung = True
        trap.caught.set()
        await anyio.sleep_forever()

    async def _replies_to(
        self, client: SocketStream, server: asyncio.StreamReader, scope: anyio.CancelScope
    ) -> None:
        with _until_broken(scope):
            while reply := await server.read(CHUNK):
                await self._pass()
                await client.send(reply)

    async def _pass(self) -> None:
        """Wait as long as the link is slow or silent."""
        if self.delay_s:
            await anyio.sleep(self.delay_s)
        await self._flows.wait()

    def _reset(self, client: SocketStream, scope: anyio.CancelScope) -> None:
        raw = client.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.resets += 1
        scope.cancel()


@contextmanager
def _until_broken(scope: anyio.CancelScope) -> Iterator[None]:
    """Carry one direction; its end, however it comes, is the end of both."""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        yield
    scope.cancel()
