"""``make failover``: many waiting clients, and the primary of their queue is killed."""

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from failover.run import kill_while_counting
from support.redis_server import server_binaries
from support.topologies import Topology, cluster, watched_primary

Place = Callable[[Path], AbstractContextManager[Topology]]
PLACES: dict[str, Place] = {"cluster": cluster, "sentinel": watched_primary}


def main() -> int:
    """Run it; the exit status says whether every client got its answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", nargs="*", default=list(PLACES), metavar="cluster|sentinel")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--rpm", type=int, default=6_000)
    options = parser.parse_args()
    print(f"servers: {server_binaries()[0]}")
    well = True
    for name in options.places:
        with TemporaryDirectory() as folder, PLACES[name](Path(folder)) as servers:
            run = partial(
                kill_while_counting,
                servers,
                jobs=options.jobs,
                clients=options.clients,
                rpm=options.rpm,
                kill_after=options.jobs // 10,
            )
            report = anyio.run(run)
        print(f"{name}: {report}")
        well = well and report.counted == report.jobs and not report.wrong
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
