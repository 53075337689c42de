"""Fuzz the reading of payloads and of inbox entries, then the protocol: ``make fuzz``."""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from fuzz.inputs import Inputs
from fuzz.run import try_all
from hypothesis import settings
from stateful.machine import walk
from stateful.test_protocol import SMALL
from support.redis_server import server_for_tests


def main() -> int:
    """Run both; returns the exit status."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument(
        "--walks", type=int, default=300, help="walks of 80 steps through the queue"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of both")
    parser.add_argument("--show", type=int, help="print the input of this number, and no more")
    chosen = parser.parse_args()
    if chosen.show is not None:
        print(Inputs(chosen.seed).at(chosen.show))
        return 0
    faults = fuzz_inputs(chosen.seed, chosen.inputs)
    if chosen.walks:
        walk_protocol(chosen.seed, chosen.walks)
    return 1 if faults else 0


def fuzz_inputs(seed: int, inputs: int) -> int:
    """Try inputs and print what came of it; returns the number of faults."""
    cores = os.cpu_count() or 1
    began = time.monotonic()
    report = try_all(seed, inputs, cores)
    for fault in report.faults[:10]:
        print(fault, file=sys.stderr)
    hangs = sum(fault.startswith("hang") for fault in report.faults)
    print(
        f"{report.tried:,} inputs: {len(report.faults) - hangs} crashes, {hangs} hangs;"
        f" {report.accepted:,} accepted; slowest {report.slowest_s * 1000:.0f} ms"
        f" (--show {report.slowest}); {time.monotonic() - began:.0f} s on {cores} cores;"
        f" seed {seed}"
    )
    return len(report.faults)


def walk_protocol(seed: int, walks: int) -> None:
    """Walk through the protocol; a failure prints how to repeat it."""
    long = settings(SMALL, max_examples=walks, stateful_step_count=80)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, server_for_tests(Path(folder)) as url:
        walk(url, long, seed)
    took = time.monotonic() - began
    print(f"{walks} walks of up to 80 steps agree with the model; {took:.0f} s; seed {seed}")


if __name__ == "__main__":
    sys.exit(main())
