"""Ours beside a hand-written loop and other queues: one system at a time, in rounds.

Each round measures every system once on a server of its own, so that ratios survive a machine that
drifts. The others are not among our dependencies: ``make bench-peers`` installs them.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import observed, wait_for_quiet
from benchmarks.report import Report, Row

from weighbridge_worker.server import ServerProcess, find_server_binary

TESTS = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class System:
    """A system, at the concurrency at which it is fastest.

    Args:
        module: in ``benchmarks.systems``.
        libraries: the folder in .venv that holds them, or empty.
    """

    module: str
    concurrency: int
    libraries: str = ""


SYSTEMS = {
    "weighbridge": System("weighbridge_", 1024),
    "hand-written redis-py": System("handwritten", 1, "peers-queue"),
    "bare, our round trips": System("bare_trips", 1),
    "dramatiq": System("dramatiq_", 16, "peers-queue"),
    "taskiq": System("taskiq_", 256, "peers-queue"),
    "arq": System("arq_", 64, "peers-arq"),
    "saq": System("saq_", 16, "peers-queue"),
    "docket": System("docket_", 64, "peers-queue"),
    "streaq": System("streaq_", 16, "peers-queue"),
}
PEERS = ("dramatiq", "taskiq", "arq", "saq", "docket", "streaq")


def run(report: Report, names: Sequence[str], kind: str, jobs: int, rounds: int) -> None:
    """Measure systems in rounds; one that fails says so and is left out of that round."""
    for _ in range(rounds):
        for name in names:
            try:
                row = measure(name, kind, jobs)
            except (subprocess.SubprocessError, ValueError) as error:
                print(f"{name}: {type(error).__name__}", file=sys.stderr)
                continue
            report.rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)


def measure(name: str, kind: str, jobs: int) -> Row:
    """Run one measurement of one system on a fresh server."""
    system = SYSTEMS[name]
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(find_server_binary(), Path(folder))
        server.start()
        try:
            wait_for_quiet()
            with observed() as machine:
                figures = _child(system, kind, jobs, server.url)
        finally:
            server.stop()
    return {"subject": name, "jobs": jobs} | figures | machine


def _child(system: System, kind: str, jobs: int, url: str) -> dict[str, float]:
    folders = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    if system.libraries:
        folders.insert(0, str(Path(sys.prefix) / system.libraries))
    env = os.environ | {"BENCH_URL": url, "PYTHONPATH": os.pathsep.join(folders)}
    words = [system.module, kind, str(jobs), str(system.concurrency)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.systems.measure", *words],
        env=env,
        check=True,
        stdout=subprocess.PIPE,
        timeout=240,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures
