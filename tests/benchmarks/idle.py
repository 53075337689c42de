"""What an idle fleet costs its server: commands an hour, as MONITOR shows them.

The workers run in this process, each with connections of its own as in a container of its own; what
a script runs within the server is no command that a worker sends.
"""

import argparse
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from redis import Redis
from support.pools import Answers, running_pool

from weighbridge import Client
from weighbridge_worker.server import ServerProcess, find_server_binary

SETTLE_S = 12.0
"""Connections and first looks are no idleness."""

OVER = "over"


def watch(url: str, seconds: float) -> Counter[str]:
    """Count the commands that clients send, by name."""
    sent: Counter[str] = Counter()
    patient = Redis.from_url(url, socket_timeout=None)  # an idle fleet is silent for seconds
    with patient as redis, Redis.from_url(url) as bell, redis.monitor() as monitor:
        timer = threading.Timer(seconds, bell.echo, (OVER,))
        timer.start()
        for command in monitor.listen():
            if command["command"] == f"ECHO {OVER}":
                break
            if command["client_type"] != "lua":
                sent[command["command"].split(" ", 1)[0].upper()] += 1
        timer.join()
    return sent


def processor_s(url: str) -> float:
    """Read the seconds of processor time that the server has used."""
    with Redis.from_url(url) as redis:
        used: dict[str, Any] = redis.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


async def measure(
    url: str, workers: int, clients: int, seconds: float
) -> tuple[Counter[str], float]:
    """Run an idle fleet that has worked once; gives its commands, and the server's time."""
    async with AsyncExitStack() as stack:
        for _ in range(workers):
            await stack.enter_async_context(running_pool(url, Answers(), rpm=3000))
        for _ in range(clients):
            wb = await stack.enter_async_context(Client.connect(url))
            await wb.count({"model": "m", "messages": [{"role": "user", "content": "x"}]})
        await anyio.sleep(SETTLE_S)
        before = processor_s(url)
        sent = await to_thread.run_sync(watch, url, seconds)
        return sent, processor_s(url) - before


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="an idle fleet")
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--clients", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=180.0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        server = ServerProcess(find_server_binary(), Path(name))
        server.start()
        try:
            sent, busy_s = anyio.run(
                measure, server.url, options.workers, options.clients, options.seconds
            )
        finally:
            server.stop()
    an_hour = 3600 / options.seconds
    print(f"{options.workers} idle workers, {options.clients} idle clients, {options.seconds:g} s")
    print("| command | an hour |\n|---|---|")
    for command, times in sent.most_common():
        print(f"| {command} | {times * an_hour:,.0f} |")
    print(f"| all | {sent.total() * an_hour:,.0f} |")
    print(f"The server's processor was busy for {busy_s / options.seconds:.2%} of the time.")


if __name__ == "__main__":
    main(sys.argv[1:])
