"""How fast a producer enqueues: in bulk and one by one, beside the bare client and other queues."""

import sys
from collections.abc import Sequence

from benchmarks.contest import SYSTEMS, run
from benchmarks.report import Column, Report, parser, publish

COLUMNS = [
    Column("per_s", "jobs a second", spread=True),
    Column("client_cpu_us", "client CPU µs a job"),
    Column("server_cpu_us", "server CPU µs a job"),
    Column("commands", "commands a job, in scripts too", ",.1f"),
    Column("bytes_in", "bytes to the server a job"),
]


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    options_of = parser("enqueue 2 KB payloads")
    options_of.add_argument("--jobs", type=int, default=10_000)
    options_of.add_argument("--only", nargs="+", choices=[*SYSTEMS], default=[*SYSTEMS])
    options_of.add_argument("--kinds", nargs="+", choices=["bulk", "one"], default=["bulk", "one"])
    options = options_of.parse_args(arguments)
    for kind, jobs in [("bulk", options.jobs), ("one", max(1, options.jobs // 5))]:
        if kind in options.kinds:
            how = "in bulk" if kind == "bulk" else "one by one"
            report = Report(f"Enqueue {how}: {jobs:,} jobs of 2 KB", COLUMNS)
            run(report, options.only, kind, jobs, options.rounds)
            publish(report, options)


if __name__ == "__main__":
    main(sys.argv[1:])
