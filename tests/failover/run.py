"""Waiting clients while the server that keeps their queue dies and a replica takes over."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from support.pools import Answers, running_pool, until
from support.topologies import Topology

from weighbridge import Client
from weighbridge.records import Counted


@dataclass(slots=True)
class Report:
    """What became of the jobs.

    Args:
        calls: made for them; more than jobs where a fail-over lost what was counted.
        longest_s: between two answers, of all clients together: the fail-over as they saw it.
    """

    jobs: int
    counted: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    seconds: float = 0.0
    longest_s: float = 0.0

    def __str__(self) -> str:
        wrong = ", ".join(f"{number:,} {what}" for what, number in self.wrong.items())
        return (
            f"{self.counted:,} of {self.jobs:,} jobs answered in {self.seconds:.1f} s"
            f" ({self.calls:,} calls; longest pause {self.longest_s:.1f} s)"
            + (f"; {wrong}" if wrong else "")
        )


async def kill_while_counting(
    place: Topology, *, jobs: int, clients: int, rpm: int, kill_after: int
) -> Report:
    """Count, kill the queue's primary in the midst of it, and go on until all is answered."""
    report, counter = Report(jobs), Answers()
    began = last = time.monotonic()

    def answered() -> None:
        nonlocal last
        now = time.monotonic()
        report.counted += 1
        report.longest_s = max(report.longest_s, now - last)
        last = now

    async with running_pool(place.url, counter, rpm=rpm, concurrency=64):
        async with anyio.create_task_group() as tasks:
            for number in range(clients):
                names = [f"job {number}.{index}" for index in range(jobs // clients)]
                tasks.start_soon(_count, place.url, names, report, answered)
            await until(lambda: report.counted >= kill_after, within_s=600)
            place.primary().kill()
        report.seconds = time.monotonic() - began
    report.calls = len(counter.bodies)
    return report


async def _count(url: str, names: list[str], report: Report, answered: Callable[[], None]) -> None:
    async with Client.connect(url) as wb:
        payloads = [
            {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": name}]}
            for name in names
        ]
        async for item in wb.count_many(payloads, in_flight=100):
            if isinstance(item.outcome, Counted):
                answered()
            else:
                report.wrong[item.outcome.code] += 1
