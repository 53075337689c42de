"""Run the benchmarks beside this file, or those named: ``make bench ARGS=imports``."""

import importlib
import sys
from pathlib import Path

DEFAULT = ("imports", "fleet")
"""``limiters`` needs its peers: ``make bench-limiters``."""


def main(chosen: list[str]) -> None:
    """Run each chosen benchmark, or all of them; each prints its own figures."""
    known = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
    if unknown := set(chosen) - set(known):
        sys.exit(f"no benchmark is called {', '.join(sorted(unknown))}; there are: {known}")
    for name in chosen or DEFAULT:
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
