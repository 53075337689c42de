"""What the scripts take and give: one record a direction, times in µs and relative."""

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from weighbridge.records import Job, Lease

SubmitStatus = Literal[
    "new", "joined", "settled", "full", "full_bytes", "payload_missing", "cached"
]
Settled = Literal["settled", "stale", "more"]
LimitAction = Literal["set", "offer", "pause", "resume", "release", "probed"]
Failing = Literal["", "fleet", "worker"]
Cancelled = Literal["withdrawn", "wanted", "leased", "unknown"]


@dataclass(frozen=True, slots=True)
class SubmitReply:
    """What became of each submitted job.

    Args:
        depth: live jobs.
        queue_bytes: of all live payloads.
        interval_us: between two permits; 0 if there was no worker yet.
        results: the texts of those that are ``cached``, in their order.
    """

    depth: int
    queue_bytes: int
    interval_us: int
    statuses: tuple[SubmitStatus, ...]
    results: tuple[bytes, ...] = ()


class Submission(msgspec.Struct, frozen=True, gc=False):
    """A job, and how it is submitted.

    Args:
        force: make a new job even if one with this digest was settled a moment ago.
        along: its payload goes along; otherwise it has been SET before.
        reply: a member of ``replies:<digest>``, or empty.
        entry: the inbox entry that asked for it, or empty.
    """

    job: Job
    force: bool = False
    along: bool = False
    reply: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what we publish stays, in milliseconds.

    Args:
        counted_ms: a count's life in the cache; never under five minutes, it is also the mailbox.
        failed_ms: a failure's, kept just long enough for its waiters.
        reply_ms: a foreign producer's reply.
        dead_ms: a dead letter's payload, for a replay; 0 keeps none.
    """

    counted_ms: int = 7 * 86_400_000
    failed_ms: int = 300_000
    reply_ms: int = 3_600_000
    dead_ms: int = 86_400_000


class Ending(msgspec.Struct, frozen=True):
    """A job to settle: its result as JSON, and its code and attempts if it failed."""

    digest: str
    token: int
    result: bytes
    code: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Calls:
    """How a worker's calls went that were permitted in one generation of the bucket's penalties.

    Args:
        answered: with a count, or a refusal of the payload.
        failed: by the endpoint or on the way to it, whatever the payload.
    """

    answered: int = 0
    failed: int = 0
    generation: int = 0


@dataclass(frozen=True, slots=True)
class TakeRequest:
    """One visit of a worker.

    Args:
        confirmed: the last operation whose reply it got.
        want: free places.
        suspects: leases in flight from the third delivery on.
        state: what the worker says of itself.
        turn_us: what remains of its turn; None if it has none.
        lead_us: how far ahead a slot must lie for this worker to be in time.
        in_flight: leases it holds, those that missed their slots not counted.
        held: jobs (digest, token) whose slots it missed.
        calls: how those since its last visit went.
    """

    worker: str
    operation: int
    confirmed: int
    want: int
    lease_us: int
    interval_us: int
    suspects: int
    version: str
    concurrency: int
    state: str = ""
    turn_us: int | None = None
    in_flight: int = 0
    lead_us: int = 0
    held: tuple[tuple[str, int], ...] = ()
    calls: Calls = Calls()


@dataclass(frozen=True, slots=True)
class TakeReply:
    """What a visit brought: leases, when to come back, how many jobs are left waiting.

    Args:
        visit_us: until this worker's turn.
        longest_us: the longest sleep before it; an early look keeps the turn.
        due_us: until the next retry, ended lease or deadline; None if none is in sight.
        interval_us: between two slots now.
        generation: of the bucket's penalties; a refused call says it back.
        hold: why only probes are let through, or empty.
        alone: whether a suspect waits until this worker holds nothing.
        failing: whose calls mostly fail: the ``fleet`` began to hold by this visit; or only this
            ``worker``'s, for others are answered; or nobody's, empty.
        now_us: the moment of the visit by the server's clock.
        payloads: those that came along, by their leases' tokens; others are to be read.
    """

    visit_us: int
    longest_us: int
    left: int
    due_us: int | None
    interval_us: int
    generation: int
    hold: str
    alone: bool
    failing: Failing
    now_us: int
    leases: tuple[Lease, ...]
    payloads: dict[int, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class LimitReply:
    """The limit as it stands: µs between two slots at the full rate, and who holds it how."""

    interval_us: int
    by_operator: bool
    paused: bool
    hold: str


@dataclass(frozen=True, slots=True)
class PermitReply:
    """Slots, and when to come back, in µs; relative to ``now_us``, the script's by its clock."""

    visit_us: int
    longest_us: int
    interval_us: int
    now_us: int
    slots_us: tuple[int, ...]
