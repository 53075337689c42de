"""A load of requests over keep-alive connections, as cheap to make as Python lets it be."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast


@dataclass(slots=True)
class Load:
    """What came of it; latencies in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def at(self, share: float) -> float:
        """Give the latency that this share of the answers did not exceed, in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class _Asker(asyncio.Protocol):
    """One connection that asks as soon as it has been answered."""

    def __init__(self, requests: Sequence[bytes], first: int, load: Load) -> None:
        self._requests = requests
        self._next = first
        self._load = load
        self._asked = 0.0
        self._answer = b""
        self.stopped = asyncio.get_running_loop().create_future()
        self.stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._ask()

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].split()[0]):
            return
        self._load.latencies.append(time.perf_counter() - self._asked)
        self._load.failed += not head.startswith(b"HTTP/1.1 200")
        self._answer = b""
        if self.stopping:
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopped.done():
            self.stopped.set_result(None)


async def ask(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Let clients ask one request after the other for so long."""
    load, loop = Load(), asyncio.get_running_loop()
    askers = []
    began = time.perf_counter()
    for number in range(clients):
        first = number * len(requests) // clients
        _, asker = await loop.create_connection(
            partial(_Asker, requests, first, load), "127.0.0.1", port
        )
        askers.append(asker)
    await asyncio.sleep(seconds)
    load.seconds = time.perf_counter() - began
    answered = len(load.latencies)
    for asker in askers:
        asker.stopping = True
    await asyncio.wait_for(asyncio.gather(*(asker.stopped for asker in askers)), 30)
    del load.latencies[answered:]
    return load
