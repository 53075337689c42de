"""Whether the pool is well, in plain words: pure, and the same for the page and the terminal."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from weighbridge.admin import PoolState
from weighbridge.bucket import FAILING, BucketState
from weighbridge_worker.watch.limit_words import HOLDS

GROWING = 10
"""So many new dead letters within five minutes are more than single bad payloads."""

SLOW_SHARE = 0.7
"""Below this share of the permitted rate, with work waiting, something holds the workers up."""

SLOWED_SHARE = 0.75
"""A rest or a single 429 leaves more than this of the rate; the limit's own line tells of it."""

NEARLY_FULL = 0.9


class Level(StrEnum):
    """How much it matters; what is ``held`` stands still on purpose or until a time."""

    WELL = "well"
    ATTENTION = "attention"
    HELD = "held"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is to be known.

    Args:
        code: a stable word; it stays while numbers in the text change.
    """

    code: str
    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The pool in one sentence, and what else is to be known."""

    code: str
    level: Level
    text: str
    further: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Trend:
    """What one look alone does not tell.

    Args:
        used_share: of the permitted rate over half a minute, if much work waited all the time.
        max_queue: live jobs beyond which submits are refused; 0 if nobody says.
    """

    used_share: float | None = None
    max_queue: int = 0


def judge(state: PoolState, trend: Trend) -> Verdict:
    """Judge the pool; what matters most comes first."""
    found = list(_findings(state, trend))
    if not found:
        return Verdict("well", Level.WELL, _well(state))
    first, *further = found
    return Verdict(first.code, first.level, first.text, tuple(further))


def unreachable(why: str) -> Verdict:
    """Judge a pool of which nothing can be seen."""
    return Verdict("unreachable", Level.TROUBLE, f"The pool cannot be seen: {why}")


def permitted_rpm(limit: BucketState) -> float:
    """Calls a minute that the bucket lets through now; 0 while it is held."""
    if limit.paused or limit.hold or limit.blocked_s:
        return 0.0
    seen = limit.seen_rpm or limit.rpm
    return min(limit.rpm * limit.share, float(seen))


def waiting(state: PoolState) -> int:
    """Jobs that no worker has yet, and requests that have not become jobs."""
    return state.interactive + state.batch + state.later + state.inbox


def _findings(state: PoolState, trend: Trend) -> Iterator[Finding]:
    yield from _standstill(state)
    yield from _dead(state)
    yield from _workers(state)
    yield from _pace(state, trend)


def _standstill(state: PoolState) -> Iterator[Finding]:
    limit = state.limit
    if not state.workers:
        yield _no_worker(waiting(state))
    elif all(worker.state == "key_refused" for worker in state.workers):
        text = "The endpoint refuses the key of every worker. Each probes from time to time."
        yield Finding("keys_refused", Level.TROUBLE, text)
    if limit.paused:
        text = "Held: an operator paused the fleet, until `weighbridge limit resume`."
        yield Finding("paused", Level.HELD, text)
    if limit.hold:
        text = f"Held: {HOLDS.get(limit.hold, limit.hold)}. A probe goes out now and then."
        yield Finding("failing" if limit.hold == FAILING else "on_hold", Level.TROUBLE, text)
    elif limit.blocked_s:
        text = f"Held for {limit.blocked_s:.0f} s more: the endpoint asked the fleet to pause."
        yield Finding("penalty", Level.HELD, text)


def _no_worker(jobs: int) -> Finding:
    if not jobs:
        return Finding("no_worker", Level.ATTENTION, "No worker runs, and nothing waits.")
    return Finding("no_worker", Level.TROUBLE, f"No worker runs, and {_jobs(jobs)}.")


def _dead(state: PoolState) -> Iterator[Finding]:
    new = sum(state.dead_recent.values())
    if new < GROWING:
        return
    code, number = max(state.dead_recent.items(), key=lambda item: item[1])
    most = f"all {code}" if number == new else f"most of them {code}"
    text = f"Dead letters are growing: {new:,} in the last five minutes, {most}."
    yield Finding("dead_growing", Level.ATTENTION, text)


def _workers(state: PoolState) -> Iterator[Finding]:
    for word, does in (
        ("key_refused", "whose key the endpoint refuses"),
        ("failing_alone", "whose calls fail while others' are answered"),
        ("sitting_out", "sitting out, for missed slots"),
    ):
        number = sum(worker.state == word for worker in state.workers)
        if number and not (word == "key_refused" and number == len(state.workers)):
            text = f"{number} of {len(state.workers)} workers {does}."
            yield Finding(word, Level.ATTENTION, text)


def _pace(state: PoolState, trend: Trend) -> Iterator[Finding]:
    limit = state.limit
    permitted = permitted_rpm(limit)
    if trend.max_queue and state.depth >= NEARLY_FULL * trend.max_queue:
        text = f"The queue is {state.depth / trend.max_queue:.0%} full; beyond it refuses jobs."
        yield Finding("nearly_full", Level.ATTENTION, text)
    if not permitted or not state.workers:
        return
    if state.depth and permitted < limit.rpm * SLOWED_SHARE:
        share = permitted / limit.rpm
        text = f"Slowed to {share:.0%} of the limit after a refusal or a rest; it grows back."
        yield Finding("slowed", Level.ATTENTION, text)
    if trend.used_share is not None and trend.used_share < SLOW_SHARE:
        text = (
            f"Only {trend.used_share:.0%} of the permitted rate is used though"
            f" {_jobs(waiting(state))}: too few workers, too few calls at once, or busy machines."
        )
        yield Finding("underused", Level.ATTENTION, text)


def _well(state: PoolState) -> str:
    jobs = waiting(state) + state.leased
    if not jobs:
        return "Well: idle, nothing waits."
    permitted = permitted_rpm(state.limit)
    left = f", about {describe_span(jobs / permitted * 60)} of work" if permitted else ""
    return f"Well: {jobs:,} {'job' if jobs == 1 else 'jobs'} under way{left}."


def describe_span(seconds: float) -> str:
    """Say a span as roughly as it is known."""
    if seconds < 90:
        return f"{max(1, seconds):.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def _jobs(number: int) -> str:
    return "1 job waits" if number == 1 else f"{number:,} jobs wait"
