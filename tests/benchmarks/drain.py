"""How many queued jobs one worker process ends a second, with a counter that answers at once."""

import statistics
import sys
from collections.abc import Sequence

from benchmarks.contest import PEERS, SYSTEMS, run
from benchmarks.report import Column, Report, parser, publish

OURS, FLOOR = "weighbridge", "hand-written redis-py"
COLUMNS = [
    Column("per_s", "jobs a second", spread=True),
    Column("worker_cpu_us", "worker CPU µs a job"),
    Column("server_cpu_us", "server CPU µs a job"),
    Column("commands", "commands a job, in scripts too", ",.1f"),
    Column("reads", "socket reads a job", ",.2f"),
    Column("bytes_in", "bytes to the server a job"),
]


def shares(report: Report) -> str:
    """Compare within rounds: ours with the hand-written loop and with the fastest of the others."""
    ours, floor = report.values(OURS, "per_s"), report.values(FLOOR, "per_s")
    medians = {name: report.median(name, "per_s") for name in PEERS}
    fastest = max(((value, name) for name, value in medians.items() if value), default=(0.0, "-"))
    words = []
    if ours and floor:
        each = [mine / theirs for mine, theirs in zip(ours, floor, strict=False)]
        words.append(f"{statistics.median(each):.0%} of the hand-written loop in the same round")
    if ours and fastest[0]:
        words.append(f"{statistics.median(ours) / fastest[0]:.1f} x {fastest[1]}, the fastest")
    return "; ".join(words)


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    options_of = parser("drain of no-op jobs, 2 KB payloads")
    options_of.add_argument("--jobs", type=int, default=10_000)
    names = [name for name in SYSTEMS if name != "bare, our round trips"]
    options_of.add_argument("--only", nargs="+", choices=names, default=names)
    options = options_of.parse_args(arguments)
    report = Report(f"Drain: {options.jobs:,} jobs of 2 KB, one worker process", COLUMNS)
    run(report, options.only, "drain", options.jobs, options.rounds)
    publish(report, options)
    print("\n" + shares(report))


if __name__ == "__main__":
    main(sys.argv[1:])
