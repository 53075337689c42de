"""What a fleet of worker processes makes of a limit, judged by the stand-in's ledger.

The stand-in, the workers and the producer are processes of their own on one machine; the machine's
steal and how busy it was stand beside each figure.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
from benchmarks.machine import observed
from redis import Redis

from weighbridge import Client, Lane
from weighbridge_worker.server import ServerProcess, find_server_binary

COMMAND = (sys.executable, "-m", "weighbridge_worker")
CASES = ["1@60", "2@300", "1@3000", "2@3000", "4@3000", "8@3000", "1@20000", "2@20000", "4@20000"]
SATURATED = (0.1, 0.97)
"""The share of the calls, by order, that is looked at: neither the start nor the end."""


@contextmanager
def processes(
    url: str, folder: Path, workers: int, rpm: int, depth: int, latency_s: float
) -> Iterator[str]:
    """Run a stand-in and workers; gives the stand-in's address."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "WEIGHBRIDGE_REDIS_URL": url}
    env |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    words = ["sandbox", "--port", "0", "--rpm", str(rpm), "--depth", str(depth)]
    with ExitStack() as stack:
        sandbox = stack.enter_context(
            subprocess.Popen(
                [*COMMAND, *words, "--latency", str(latency_s)],
                env=env,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(sandbox.kill)
        assert sandbox.stderr is not None
        said = sandbox.stderr.readline() + sandbox.stderr.readline()
        base_url = said.split("ANTHROPIC_BASE_URL=")[1].split()[0]
        keys = {"ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": "bench"}
        concurrency = max(16, int(rpm / 60 * (latency_s + 0.2) * 2 / workers))
        keys |= {"WEIGHBRIDGE_RPM": str(rpm), "WEIGHBRIDGE_CONCURRENCY": str(concurrency)}
        for _ in range(workers):
            worker = stack.enter_context(
                subprocess.Popen([*COMMAND, "worker"], env=env | keys, stderr=subprocess.DEVNULL)
            )
            stack.callback(worker.kill)
        with Redis.from_url(url) as redis:
            while redis.zcard("{weighbridge}:1:workers") < workers:
                time.sleep(0.05)
        yield base_url


async def fill(url: str, jobs: int) -> None:
    """Queue jobs and wait for none of them."""
    async with Client.connect(url) as wb:
        for number in range(jobs):
            message = {"role": "user", "content": f"payload number {number}"}
            await wb.submit({"model": "claude-sonnet-5-5", "messages": [message]}, lane=Lane.BATCH)


def measure(workers: int, rpm: int, slots: int, latency_s: float) -> dict[str, Any]:
    """Run one case."""
    depth = 20 if rpm >= 20_000 else 10
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = ServerProcess(find_server_binary(), folder)
        server.start()
        stack.callback(server.stop)
        with Redis.from_url(server.url) as redis:
            base_url = stack.enter_context(
                processes(server.url, folder, workers, rpm, depth, latency_s)
            )
            redis.config_resetstat()
            with observed() as machine:
                anyio.run(fill, server.url, slots)
                while redis.zcard("{weighbridge}:1:deadlines"):
                    time.sleep(0.1)
            calls = redis.info("commandstats")
        with urllib.request.urlopen(f"{base_url}/_sandbox/ledger") as answer:
            attempts = json.load(answer)["attempts"]
    return figures(attempts, rpm) | {
        "workers": workers,
        "rpm": rpm,
        "scripts": calls["cmdstat_evalsha"]["calls"] / len(attempts),
        "steal": machine["steal"],
        "busy": machine["busy"],
    }


def figures(attempts: list[dict[str, Any]], rpm: int) -> dict[str, Any]:
    """Judge the attempts."""
    times = sorted(attempt["at"] for attempt in attempts)
    first, last = (int(len(times) * share) for share in SATURATED)
    rate = rpm / 60
    return {
        "slots": len(times),
        "used": (last - first) / ((times[last] - times[first]) * rate),
        "refused": sum(attempt["status"] == 429 for attempt in attempts),
        "over": most_over(times, rate),
        "gap_ms": 1000 * max(later - earlier for earlier, later in pairwise(times[first:last])),
    }


def most_over(times: list[float], rate: float) -> float:
    """Find by how many calls the worst of all windows exceeds rate × window."""
    worst, lead = 0.0, float("-inf")
    for count, at in enumerate(times):
        lead = max(lead, at * rate - count)
        worst = max(worst, count + 1 - at * rate + lead)
    return worst


def table(rows: list[dict[str, Any]]) -> str:
    """Write rows as a Markdown table."""
    head = (
        "| workers | limit | calls | limit used | 429s | most calls over rate × window |"
        " longest gap | scripts a call | machine busy | steal |\n" + "|---" * 10 + "|"
    )
    return "\n".join(
        [head]
        + [
            f"| {row['workers']} | {row['rpm']:,}/min | {row['slots']:,} | {row['used']:.1%} |"
            f" {row['refused']} | {row['over']:.1f} | {row['gap_ms']:.0f} ms |"
            f" {row['scripts']:.2f} | {row['busy']:.0%} | {row['steal']:.1%} |"
            for row in rows
        ]
    )


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="a fleet against a limit")
    parser.add_argument("cases", nargs="*", default=CASES, help="workers@rpm")
    parser.add_argument("--seconds", type=float, default=15.0, help="of saturated work a case")
    parser.add_argument("--latency", type=float, default=0.1, help="of the stand-in, seconds")
    options = parser.parse_args(arguments)
    rows = []
    for case in options.cases:
        workers, rpm = map(int, case.split("@"))
        slots = max(200, int(rpm / 60 * options.seconds))
        rows.append(measure(workers, rpm, slots, options.latency))
        print(json.dumps(rows[-1]), file=sys.stderr)
    print(table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
