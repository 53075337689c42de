"""The worker process of one system: python -m benchmarks.systems.worker MODULE CONCURRENCY POLL."""

import asyncio
import importlib
import logging
import sys

import uvloop


def main(system: str, concurrency: str, poll: str) -> None:
    """Work until killed."""
    logging.disable(logging.WARNING)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    importlib.import_module(f"benchmarks.systems.{system}").run_worker(
        int(concurrency), float(poll)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
