"""Cause the faults: ``make faults``, or some of them: ``make faults ARGS='1 6 9'``."""

import argparse
import platform
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import anyio
from faults.busy import Ticks
from faults.report import FaultReport
from faults.rows import ROWS, Row
from faults.stage import Run

from weighbridge_worker.server import find_server_binary


def main(arguments: Sequence[str]) -> int:
    """Run the chosen rows and print a line each; returns 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="make faults", description="cause the faults, and judge")
    known = [row.number for row in ROWS]
    parser.add_argument("rows", nargs="*", type=int, choices=[*known, []], help="all by default")
    parser.add_argument("--quick", action="store_true", help="seconds a row instead of minutes")
    parser.add_argument("--size", type=int, help="jobs a row instead of the table's")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    options = parser.parse_args(arguments)
    print(_versions(), flush=True)
    kept = True
    for row in ROWS:
        if row.number in (options.rows or known):
            size = options.size or (row.quick if options.quick else row.size)
            report = _cause(row, size, seed=options.seed, quick=options.quick)
            print(report.line(), flush=True)
            kept = kept and report.kept
    return 0 if kept else 1


def _cause(row: Row, size: int, *, seed: int, quick: bool) -> FaultReport:
    began, ticks = time.monotonic(), Ticks.now()
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        run = Run(Path(folder), size, seed, quick)
        try:
            report = anyio.run(row.scenario, run)
        except Exception as error:
            traceback.print_exc()
            name, told = row.scenario.__name__, f"no verdict: {type(error).__name__}"
            return FaultReport(row.number, name, size, seed=seed, broken=(told,))
    seconds = f"{time.monotonic() - began:.0f} s"
    return report.with_broken(report.broken, "  ".join(filter(None, (seconds, ticks.since()))))


def _versions() -> str:
    asked = subprocess.run(
        [find_server_binary(), "--version"], capture_output=True, text=True, check=True
    )
    server = " ".join(asked.stdout.split()[:3])
    return f"weighbridge {version('weighbridge')}, Python {platform.python_version()}, {server}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
