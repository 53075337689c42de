"""What every system of the queue benchmarks gives: a producer, and a worker that calls ``tick``."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

URL = os.environ.get("BENCH_URL", "redis://127.0.0.1:6390/0")
WORDS = "The quick brown fox jumps over the lazy dog; sphinx of black quartz, judge my vow. "


class Producer(Protocol):
    """One client of a system; ``poll`` is between two looks at a result, where it polls."""

    def __init__(self, poll: float) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def one(self, payload: dict[str, Any]) -> Any:
        """Enqueue one job; returns a handle."""

    async def bulk(self, payloads: Sequence[dict[str, Any]]) -> list[Any]:
        """Enqueue many in the fastest way there is."""

    async def wait(self, handle: Any) -> Any:
        """Wait for a result."""

    async def stored(self, handles: list[Any]) -> int:
        """Count the jobs that have ended."""


def make_payload(number: int, size: int = 2048) -> dict[str, Any]:
    """Make a Messages body of about ``size`` bytes that differs from every other."""
    head = f"Payload {number}. "
    text = head + (WORDS * (size // len(WORDS) + 1))[: max(0, size - 120 - len(head))]
    return {
        "model": "claude-sonnet-5-5",
        "system": "You are terse.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}],
    }


class Ticker:
    """Counts jobs in a worker; at the last one it writes when the first ran, and the CPU since."""

    def __init__(self) -> None:
        self.total = int(os.environ.get("BENCH_JOBS", "0"))
        self.out = Path(os.environ.get("BENCH_OUT", "tick.json"))
        self.n = 0
        self.first = self.cpu = 0.0

    def __call__(self) -> None:
        """Count one job."""
        if self.n == 0:
            self.first, self.cpu = time.monotonic(), time.process_time()
        self.n += 1
        if self.n == self.total:
            report = {"first": self.first, "cpu": time.process_time() - self.cpu}
            part = self.out.with_suffix(".part")
            part.write_text(json.dumps(report))
            part.rename(self.out)


tick = Ticker()


async def in_chunks(
    one: Callable[[Any], Awaitable[Any]], payloads: Sequence[Any], width: int
) -> list[Any]:
    """Enqueue ``width`` at a time, for libraries without a bulk call."""
    out: list[Any] = []
    for start in range(0, len(payloads), width):
        out += await asyncio.gather(*(one(each) for each in payloads[start : start + width]))
    return out
