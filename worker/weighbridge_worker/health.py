"""Whether a worker lives and is of use, judged by what it was seen to do."""

from dataclasses import dataclass

from weighbridge_worker.standing import Bar

READY_S = 15.0
"""Within this a ready worker's visit was answered. Its waits between two visits are 8 s at most,
10 s in a fleet of 500; the rest is for the answer."""

SETTLE_S = 15.0
"""A result that could not be written for so long will be lost when its lease ends."""

LIVE_S = 120.0
"""A turn of the taker takes no longer, however the server hangs: its time-outs add up to some 75 s.
Being restarted would not bring a server back, so that only the worker's own fault counts here."""

BARS: dict[Bar, str] = {
    "key_refused": "the endpoint refuses the key",
    "failing_alone": "its calls to the endpoint fail, other workers' do not: see its network",
}

LONG_SIT_OUT_S = 3.0
"""A worker that stays away for longer has missed its slots six times in a row."""


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """What was seen of a worker; moments are of its loop's clock, None for never.

    Args:
        turned_at: when the taker last began a turn, be it answered or not.
        taken_at: when the queue last answered a visit, with jobs or without.
        settled_at: when results were last settled.
        unsettled_since: since when results wait to be settled.
        in_flight: leases it holds.
        barred: why it makes no calls but probes: the state of its standing, or empty.
        sit_out_s: for how long it stays away from the queue by its own choice.
        hold: why the fleet holds, by the last answer, or empty.
        paused: whether an operator holds the fleet.
    """

    turned_at: float
    taken_at: float | None
    settled_at: float | None
    unsettled_since: float | None
    in_flight: int
    draining: bool
    barred: Bar
    sit_out_s: float
    hold: str
    paused: bool = False


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The judgement.

    Args:
        live: false if only a restart helps.
        ready: whether it takes jobs and ends them.
        why: what is wrong; empty if it is live and ready.
        notes: what holds the whole fleet; no fault of this worker.
        taken_s: seconds since the queue last answered, None for never.
        settled_s: the same since results were last settled.
    """

    live: bool
    ready: bool
    why: tuple[str, ...]
    notes: tuple[str, ...]
    in_flight: int
    taken_s: float | None
    settled_s: float | None


def judge(facts: HealthFacts, now: float) -> HealthReport:
    """Judge a worker at a moment of its loop's clock."""
    stuck = _stuck(facts, now)
    why = (*stuck, *_unready(facts, now))
    return HealthReport(
        live=not stuck,
        ready=not why,
        why=why,
        notes=tuple(_notes(facts)),
        in_flight=facts.in_flight,
        taken_s=None if facts.taken_at is None else round(now - facts.taken_at, 3),
        settled_s=None if facts.settled_at is None else round(now - facts.settled_at, 3),
    )


def _notes(facts: HealthFacts) -> list[str]:
    """Say what holds the whole fleet: a worker that waits with it is ready for its end."""
    held = [f"the fleet holds: {facts.hold}"] if facts.hold else []
    return [*held, "an operator has paused the fleet"] if facts.paused else held


def _stuck(facts: HealthFacts, now: float) -> list[str]:
    # A drain stops the taker on purpose, and has a deadline of its own.
    if facts.draining or now - facts.turned_at <= LIVE_S:
        return []
    return [f"the taker has been stuck for {now - facts.turned_at:.0f} s"]


def _unready(facts: HealthFacts, now: float) -> list[str]:
    why = []
    if facts.draining:
        why.append("draining")
    elif facts.taken_at is None:
        why.append("not started: the queue has not answered yet")
    elif now - facts.taken_at > READY_S:
        why.append(f"the queue has not answered for {now - facts.taken_at:.0f} s")
    if facts.unsettled_since is not None and now - facts.unsettled_since > SETTLE_S:
        waited_s = now - facts.unsettled_since
        why.append(f"results have waited for {waited_s:.0f} s to be written")
    if facts.barred:
        why.append(BARS[facts.barred])
    if facts.sit_out_s > LONG_SIT_OUT_S:
        why.append(f"sitting out for {facts.sit_out_s:.0f} s: it kept missing its slots")
    return why
