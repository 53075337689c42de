"""One moment of the pool, frozen: what the page draws and the terminal prints."""

from typing import Literal

import msgspec

from weighbridge.admin import PoolState, WorkerState
from weighbridge.figures import Histogram, WorkerFigures
from weighbridge.records import CacheUse
from weighbridge_worker.watch.history import KEPT_S, SMOOTH_S, History
from weighbridge_worker.watch.limit_words import describe_limit
from weighbridge_worker.watch.verdict import Verdict, permitted_rpm

STATES = {
    "taking": "taking",
    "sitting_out": "sitting out, for it kept missing its slots",
    "key_refused": "key refused, probing",
    "failing_alone": "its calls fail, others' do not: see its network; probing",
}
"""The words of ``standing.Standing.state``, for people."""

WORK_S = 60.0
"""What was done is told of the last minute."""

LaneName = Literal["interactive", "batch"]


class Rate(msgspec.Struct, frozen=True):
    """Calls a minute.

    Args:
        used: over the last ten seconds; None before there were two looks.
        permitted: by the bucket now, 0 while it is held.
        limit: the full rate; 0 if nobody has set one.
        words: the limit in a sentence.
        granted: permits ever.
    """

    used: float | None
    permitted: float
    limit: int
    words: str
    share: float
    paused: bool
    hold: str
    blocked_s: float
    seen: int
    by_operator: bool
    granted: int


class LaneDepth(msgspec.Struct, frozen=True):
    """One lane; ``eta_s`` is None while no end can be told."""

    lane: LaneName
    ready: int
    eta_s: float | None


class Queue(msgspec.Struct, frozen=True):
    """Jobs by where they are, and the bytes of their payloads."""

    lanes: tuple[LaneDepth, ...]
    in_flight: int
    later: int
    inbox: int
    bytes: int


class Latency(msgspec.Struct, frozen=True):
    """Seconds; None where nothing was measured in the window."""

    p50_s: float | None
    p99_s: float | None
    count: int


class Work(msgspec.Struct, frozen=True):
    """What was done in the last minute.

    Args:
        cache: how requests were answered, by gateway and inbox.
        calls: by outcome.
        wait, call, total: see ``WorkerFigures``.
    """

    cache: dict[CacheUse, int]
    calls: dict[str, int]
    wait: Latency
    call: Latency
    total: Latency


class Refusals(msgspec.Struct, frozen=True):
    """What the endpoint and the clock took away in the last ten minutes."""

    throttled: int
    penalties: int
    slots_missed: int


class WorkerSeen(msgspec.Struct, frozen=True):
    """A living worker."""

    worker: str
    version: str
    concurrency: int
    state: str
    words: str
    seen_s: float
    calls: int


class Dead(msgspec.Struct, frozen=True):
    """Dead letters; ``codes`` are of the newest 1,000, ``recent`` of the last five minutes."""

    total: int
    codes: dict[str, int]
    recent: dict[str, int]


class Pool(msgspec.Struct, frozen=True):
    """All that is to be seen of a pool."""

    endpoint: str
    rate: Rate
    queue: Queue
    work: Work
    refusals: Refusals
    workers: tuple[WorkerSeen, ...]
    dead: Dead


class Snapshot(msgspec.Struct, frozen=True):
    """A look at the pool.

    Args:
        number: grows by one a look.
        at_s: on the watcher's own clock, for charts.
        pool: None if nothing could be seen.
    """

    number: int
    at_s: float
    namespace: str
    verdict: Verdict
    pool: Pool | None


def describe_pool(state: PoolState, history: History) -> Pool:
    """Put a look, the newest of the history, into the record that is shown."""
    return Pool(
        endpoint=state.scope.get("base_url", ""),
        rate=_rate(state, history.used_rpm(SMOOTH_S)),
        queue=_queue(state),
        work=_work(history.recent(WORK_S), history.recent_cache(WORK_S)),
        refusals=_refusals(history.recent(KEPT_S)),
        workers=tuple(_worker(worker) for worker in state.workers),
        dead=Dead(state.dead, state.dead_codes, state.dead_recent),
    )


def _rate(state: PoolState, used_rpm: float | None) -> Rate:
    limit = state.limit
    return Rate(
        used=used_rpm,
        permitted=permitted_rpm(limit),
        limit=limit.rpm,
        words=describe_limit(limit),
        share=limit.share,
        paused=limit.paused,
        hold=limit.hold,
        blocked_s=limit.blocked_s,
        seen=limit.seen_rpm,
        by_operator=limit.by_operator,
        granted=limit.granted,
    )


def _queue(state: PoolState) -> Queue:
    """Interactive work goes first, so batch work ends when all has."""
    permitted = permitted_rpm(state.limit) if state.workers else 0.0
    before = {"interactive": state.interactive, "batch": state.interactive + state.batch}

    def eta_s(lane: LaneName) -> float | None:
        return before[lane] / permitted * 60 if permitted else None

    return Queue(
        lanes=(
            LaneDepth("interactive", state.interactive, eta_s("interactive")),
            LaneDepth("batch", state.batch, eta_s("batch")),
        ),
        in_flight=state.leased,
        later=state.later,
        inbox=state.inbox,
        bytes=state.queue_bytes,
    )


def _work(recent: WorkerFigures, cache: dict[CacheUse, int]) -> Work:
    return Work(
        cache=cache,
        calls=dict(recent.calls),
        wait=_latency(recent.wait),
        call=_latency(recent.call),
        total=_latency(recent.total),
    )


def _refusals(recent: WorkerFigures) -> Refusals:
    return Refusals(recent.rate_limited, recent.penalties, recent.slots_missed)


def _latency(durations: Histogram) -> Latency:
    return Latency(durations.quantile(0.5), durations.quantile(0.99), durations.count)


def _worker(worker: WorkerState) -> WorkerSeen:
    return WorkerSeen(
        worker=worker.worker,
        version=worker.version,
        concurrency=worker.concurrency,
        state=worker.state,
        words=STATES.get(worker.state, worker.state or "does not say"),
        seen_s=worker.seen_s,
        calls=worker.figures.attempts,
    )
