"""A pool's state as a look gives it, well unless the test says otherwise."""

from dataclasses import replace
from typing import Any

from weighbridge.admin import PoolState, WorkerState
from weighbridge.bucket import BucketState
from weighbridge.figures import WorkerFigures

FULL = BucketState(
    rpm=6000,
    by_operator=False,
    seen_rpm=0,
    share=1.0,
    paused=False,
    hold="",
    blocked_s=0.0,
    used_rpm=0.0,
    granted=0,
)


def worker(name: str = "one", state: str = "taking", figures: Any = None) -> WorkerState:
    """Make a worker."""
    return WorkerState(name, "1", 8, state, 0.1, figures or WorkerFigures())


WELL = PoolState(
    interactive=0,
    batch=0,
    leased=0,
    later=0,
    queue_bytes=0,
    dead=0,
    dead_codes={},
    dead_recent={},
    inbox=0,
    limit=FULL,
    cached=None,
    scope={"base_url": "https://api.example"},
    workers=(worker(),),
)


def pool(limit: dict[str, Any] | None = None, **changes: Any) -> PoolState:
    """Change a well pool, and its limit."""
    return replace(WELL, limit=replace(FULL, **(limit or {})), **changes)
