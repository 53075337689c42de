"""How long a producer's import and the command's help take, each in a fresh process."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

RUNS = 9
PROGRAMS = {
    "python, nothing imported": ["-c", "pass"],
    "import redis.asyncio": ["-c", "import redis.asyncio"],
    "import weighbridge (Client)": ["-c", "from weighbridge import Client"],
    "weighbridge --help": ["-m", "weighbridge_worker", "--help"],
}


def main(_: Sequence[str] = ()) -> None:
    """Print the median and the fastest of several runs, in milliseconds."""
    print(f"start-up, milliseconds, {RUNS} runs each, first one left out")
    for name, arguments in PROGRAMS.items():
        times = [_run(arguments) for _ in range(RUNS + 1)][1:]
        print(f"  {name:<28} median {statistics.median(times):6.0f}   best {min(times):6.0f}")


def _run(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000
