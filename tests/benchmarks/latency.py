"""How long from a submit to its result on an idle pool, without polling."""

import os
import sys
from collections.abc import Sequence

from benchmarks.contest import run
from benchmarks.report import Column, Report, parser, publish

NAMES = ("weighbridge", "bare, our round trips", "hand-written redis-py", "dramatiq", "taskiq")
COLUMNS = [
    Column("p50_ms", "p50 ms", ".2f", spread=True),
    Column("p99_ms", "p99 ms", ".2f", spread=True),
    Column("commands", "commands a job, in scripts too", ",.1f"),
    Column("reads", "socket reads a job", ",.1f"),
]


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    options_of = parser("submit to result, one job at a time")
    options_of.add_argument("--jobs", type=int, default=500)
    options_of.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    options = options_of.parse_args(arguments)
    # A rate at which the limit bounds nothing here, and slots need not be planned ahead.
    os.environ["BENCH_RPM"] = "50000"
    report = Report(f"Idle latency: {options.jobs:,} jobs of 2 KB, one after the other", COLUMNS)
    run(report, options.only, "latency", options.jobs, options.rounds)
    publish(report, options)


if __name__ == "__main__":
    main(sys.argv[1:])
