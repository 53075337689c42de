"""What the gateway makes of cached counts, beside starlette and uvicorn answering a constant.

Both servers are processes of their own, asked in turns by this one with the same requests: bodies
of about a kilobyte under the headers that the SDK sends. A request of the constant's costs nothing
but HTTP; the gateway also finds its tenant, names the body and asks Redis. More payloads than it
remembers the digests of (--payloads 20000) it has to read, check and hash each time.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
from benchmarks._load import Load, ask
from redis import Redis

from weighbridge import Client, Counted
from weighbridge.keys import Keys
from weighbridge.records import encode_result
from weighbridge_worker.server import ServerProcess, find_server_binary

TOKEN = "benchmark-benchmark"
TICKS = os.sysconf("SC_CLK_TCK")
HEADERS = {
    "Host": "127.0.0.1",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": "AsyncAnthropic/Python 2.12.0",
    "X-Stainless-Lang": "python",
    "X-Stainless-Package-Version": "2.12.0",
    "X-Stainless-OS": "Linux",
    "X-Stainless-Arch": "x64",
    "X-Stainless-Runtime": "CPython",
    "X-Stainless-Runtime-Version": "3.11.7",
    "X-Api-Key": TOKEN,
    "X-Stainless-Async": "async:asyncio",
    "anthropic-version": "2023-06-01",
    "x-stainless-retry-count": "0",
    "x-stainless-read-timeout": "600",
}
"""What the Python SDK sends with count_tokens."""


def payload(number: int) -> dict[str, Any]:
    """Make one of many payloads of about a kilobyte."""
    text = f"payload number {number}: " + "the lorry drives onto the bridge and waits. " * 20
    message = {"role": "user", "content": text}
    return {"model": "claude-sonnet-5-5", "messages": [message]}


def request(body: bytes) -> bytes:
    """Make the bytes of a request."""
    lines = [f"{name}: {value}" for name, value in HEADERS.items()]
    head = "\r\n".join(["POST /v1/messages/count_tokens HTTP/1.1", *lines])
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def fill(url: str, payloads: int) -> list[bytes]:
    """Put counts into the cache; returns the requests that they answer."""
    requests = []
    async with Client.connect(url) as wb:
        with Redis.from_url(url) as redis:
            for number in range(payloads):
                body = json.dumps(payload(number)).encode()
                job = await wb.prepare(body, partition="bench")
                result = Counted(
                    digest=job.digest,
                    model=job.payload.model,
                    input_tokens=250,
                    source="api",
                    counted_at=int(time.time()),
                )
                redis.set(Keys().result(job.digest), encode_result(result), ex=3600)
                requests.append(request(body))
    return requests


class Served:
    """A server's process."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self._process = process
        self.port = port

    def cpu_s(self) -> float:
        """Read what it has used of the processors."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / TICKS


@contextmanager
def servers(url: str, folder: Path) -> Iterator[tuple[Served, Served]]:
    """Run the constant and the gateway."""
    tokens = folder / "tokens.toml"
    tokens.write_text(f'[tenants.bench]\ntokens = ["{TOKEN}"]\n')
    tokens.chmod(0o600)
    env = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    env |= {"HOME": str(folder), "WEIGHBRIDGE_REDIS_URL": url}
    env |= {"WEIGHBRIDGE_TOKENS_FILE": str(tokens), "WEIGHBRIDGE_LOG_FORMAT": "json"}
    constant = [sys.executable, "-m", "benchmarks._constant"]
    gateway = [sys.executable, "-m", "weighbridge_worker", "gateway", "--port", "0"]
    with ExitStack() as stack:
        first = stack.enter_context(_started(constant, env))
        second = stack.enter_context(_started(gateway, env))
        assert first.stdout is not None
        assert second.stderr is not None
        said = json.loads(second.stderr.readline())
        port = int(said["base_url"].rpartition(":")[2])
        yield Served(first, int(first.stdout.readline())), Served(second, port)


@contextmanager
def _started(words: list[str], env: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def loaded(
    server: Served, requests: Sequence[bytes], clients: int, seconds: float
) -> tuple[Load, float]:
    """Load a server; also returns the processor's microseconds that an answer took it."""
    before = server.cpu_s()
    load = await ask(server.port, requests, clients, seconds)
    assert not load.failed, f"{load.failed} of {len(load.latencies)} answers were no counts"
    return load, 1e6 * (server.cpu_s() - before) / len(load.latencies)


async def warmed(server: Served, requests: Sequence[bytes]) -> None:
    """Ask everything once."""
    asked = 0
    while asked < len(requests):
        asked += len((await ask(server.port, requests[asked:], 1, 0.5)).latencies)


@contextmanager
def slow_clients(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Hold connections whose requests never come whole: half of them a head, half a body."""
    head = request(b"x" * 1000)[:-1000]
    with ExitStack() as stack:
        clients = []
        for number in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(head[:200] if number % 2 else head + b"{")
            clients.append(client)
        yield clients


async def measure(
    url: str, folder: Path, payloads: int, seconds: float, rounds: int, slow: int
) -> None:
    """Measure and print."""
    requests = await fill(url, payloads)
    with servers(url, folder) as (constant, gateway):
        for server in (constant, gateway):
            await warmed(server, requests)
        for clients in (64, 200):
            rows = [
                [await loaded(server, requests, clients, seconds) for server in (constant, gateway)]
                for _ in range(rounds)
            ]
            report(clients, rows)
        alone, _ = await loaded(gateway, requests, 1, seconds)
        with slow_clients(gateway.port, slow):
            beside, _ = await loaded(gateway, requests, 1, seconds)
        print(
            f"one fast client alone: p50 {alone.at(0.5):.2f} ms, p99 {alone.at(0.99):.2f} ms;"
            f" beside {slow:,} slow ones: p50 {beside.at(0.5):.2f} ms, p99 {beside.at(0.99):.2f} ms"
        )


def report(clients: int, rows: list[list[tuple[Load, float]]]) -> None:
    """Print medians over the rounds, and each round's share."""
    shares = [gateway.rate / constant.rate for (constant, _), (gateway, _) in rows]
    print(f"{clients} clients")
    for index, name in enumerate(("a constant", "the gateway, cached")):
        loads = [row[index][0] for row in rows]
        print(
            f"  {name:<20} {statistics.median(load.rate for load in loads):8,.0f}/s"
            f"   p50 {statistics.median(load.at(0.5) for load in loads):6.1f} ms"
            f"   p99 {statistics.median(load.at(0.99) for load in loads):6.1f} ms"
            f"   {statistics.median(row[index][1] for row in rows):5.0f} µs of processor an answer"
        )
    words = " ".join(f"{share:.0%}" for share in shares)
    print(f"  share of the constant: {statistics.median(shares):.0%} ({words})")


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="the gateway against a constant")
    parser.add_argument("--payloads", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=4.0, help="a load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow", type=int, default=1000, help="slow clients")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = ServerProcess(find_server_binary(), folder)
        server.start()
        stack.callback(server.stop)
        anyio.run(
            measure,
            server.url,
            folder,
            options.payloads,
            options.seconds,
            options.rounds,
            options.slow,
            backend_options={"use_uvloop": True},
        )


if __name__ == "__main__":
    main(sys.argv[1:])
