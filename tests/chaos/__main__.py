"""Twenty producers, several workers, and everything that befalls them: ``make chaos``."""

import argparse
import random
import shlex
import sys
import tempfile
from pathlib import Path

import anyio
from chaos.run import Plan, run


def main() -> int:
    """Run once; returns the exit status."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="how long the storm lasts")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rpm", type=int, default=1800)
    parser.add_argument(
        "--other-worker",
        metavar="CMD",
        help="the `weighbridge` of another version, for every other",
    )
    chosen = parser.parse_args()
    plan = Plan(
        seconds=chosen.seconds,
        seed=chosen.seed,
        workers=chosen.workers,
        rpm=chosen.rpm,
        other_worker=tuple(shlex.split(chosen.other_worker or "")),
    )
    print(f"seed {plan.seed}: a storm of {plan.seconds:.0f} s", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        verdict = anyio.run(run, plan, Path(folder))
        print(verdict.line())
        if verdict.good:
            return 0
        for word in (*verdict.tally.wrong[:10], *verdict.rest.leaked[:10]):
            print(word, file=sys.stderr)
        log = (Path(folder) / "workers.log").read_text(errors="replace")
        start = log.find("Traceback")
        print(log[start : start + 8000] if start >= 0 else log[-4000:], file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
