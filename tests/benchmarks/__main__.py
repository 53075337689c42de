"""Run the benchmarks beside this file, or those named: ``make bench ARGS='drain --rounds 5'``."""

import importlib
import sys
from itertools import dropwhile
from pathlib import Path

DEFAULT = ("imports", "fleet")
"""``limiters`` needs its peers: ``make bench-limiters``; so do ``drain``, ``enqueue``, ``latency``:
``make bench-peers``."""

SHARED = {"contest", "instant", "instant_endpoint", "machine", "report"}


def main(words: list[str]) -> None:
    """Run each chosen benchmark, or the usual ones; what follows the names is theirs to read."""
    options = list(dropwhile(lambda word: not word.startswith("-"), words))
    chosen = words[: len(words) - len(options)]
    known = sorted({path.stem for path in Path(__file__).parent.glob("[!_]*.py")} - SHARED)
    if unknown := set(chosen) - set(known):
        sys.exit(f"no benchmark is called {', '.join(sorted(unknown))}; there are: {known}")
    for name in chosen or DEFAULT:
        importlib.import_module(f"benchmarks.{name}").main(options)


if __name__ == "__main__":
    main(sys.argv[1:])
