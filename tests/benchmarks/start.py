"""How long a worker takes from its start until it is ready, beside the SDK's own import.

A round starts each program once, in fresh processes: the SDK's import, the same with the transport
that workers use, and the worker's command against a server and a stand-in that are there. ``ready``
is its log's ``started``, ``taking`` its first visit to the queue. What is left without the SDK and
its transport is the difference within each round.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks._processes import COMMAND, Env, environment, stand_in
from benchmarks.machine import observed, process_cpu_s
from benchmarks.report import Column, Report, Row, parser, publish
from redis import Redis

from weighbridge.keys import Keys
from weighbridge_worker.server import ServerProcess, find_server_binary

WORKERS = Keys().workers
SDK = "import anthropic"
TRANSPORT = "from anthropic import DefaultAioHttpClient; DefaultAioHttpClient()"
PROGRAMS = {"python alone": "pass", "the SDK": SDK, "the SDK, its transport": TRANSPORT}
WORKER = "weighbridge worker"
COLUMNS = [
    Column("ready_ms", "ready ms", spread=True),
    Column("taking_ms", "taking ms", spread=True),
    Column("cpu_ms", "CPU ms", spread=True),
]


def imported(code: str, env: Env) -> Row:
    """Run a line of Python in a fresh process."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code], env=env)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, code
    took = 1000 * (time.perf_counter() - began)
    return {"ready_ms": took, "cpu_ms": 1000 * (used.ru_utime + used.ru_stime)}


def started(env: Env, redis: "Redis") -> Row:
    """Start a worker and wait until it takes; then end it."""
    redis.delete(WORKERS)
    began = time.perf_counter()
    with subprocess.Popen(
        [*COMMAND, "worker"], env=env, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            while json.loads(process.stderr.readline())["event"] != "started":
                pass
            ready = time.perf_counter()
            cpu_s = process_cpu_s(process.pid)
            while not redis.zcard(WORKERS):
                time.sleep(0.001)
            taking = time.perf_counter()
        finally:
            process.kill()
    return {
        "ready_ms": 1000 * (ready - began),
        "taking_ms": 1000 * (taking - began),
        "cpu_ms": 1000 * cpu_s,
    }


def beyond(row: Row, other: Row) -> Row:
    """Take one program's times off another's."""
    return {
        "ready_ms": row["ready_ms"] - other["ready_ms"],
        "taking_ms": row["taking_ms"] - other["ready_ms"],
        "cpu_ms": row["cpu_ms"] - other["cpu_ms"],
    }


def measure(env: Env, redis: "Redis") -> dict[str, Row]:
    """Run one round."""
    rows = {name: imported(code, env) for name, code in PROGRAMS.items()}
    rows[WORKER] = started(env, redis)
    rows["beyond the SDK"] = beyond(rows[WORKER], rows["the SDK"])
    rows["beyond the SDK, its transport"] = beyond(rows[WORKER], rows["the SDK, its transport"])
    return rows


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print; the first round is left out, for it fills the disk's cache."""
    options = parser("a worker's start", rounds=11).parse_args(arguments)
    report = Report("A worker's start, from spawn", COLUMNS)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        server = ServerProcess(find_server_binary(), Path(name))
        server.start()
        stack.callback(server.stop)
        env = environment(server.url, Path(name))
        redis = stack.enter_context(Redis.from_url(server.url))
        endpoint = stack.enter_context(stand_in(env, rpm=3000, depth=10, latency_s=0.0))
        env |= {"ANTHROPIC_BASE_URL": endpoint.base_url, "ANTHROPIC_API_KEY": "bench"}
        env |= {"WEIGHBRIDGE_RPM": "3000", "WEIGHBRIDGE_LOG_FORMAT": "json"}
        measure(env, redis)
        for _ in range(options.rounds):
            with observed() as machine:
                rows = measure(env, redis)
            report.rows += [{"subject": name} | row | machine for name, row in rows.items()]
    publish(report, options)


if __name__ == "__main__":
    main(sys.argv[1:])
