"""What a simulated fleet consists of: its surroundings, its workers, their permits, its record."""

from dataclasses import dataclass, field

from simulation.events import SECOND

from weighbridge.server_clock import ServerClock
from weighbridge_worker.outcomes import Outcomes

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What surrounds a fleet; times in µs, spans are uniform.

    Args:
        round_trip: to the server and back.
        stall: the share of one-way trips that are held up by ``stall_time``.
        timer: how late a sleep ends.
        uplink: from a worker to the endpoint.
        answer: from there back, the endpoint's own work included.
        seen_for: how long a worker counts as living after its last visit.
    """

    round_trip: Span = (500, 5_000)
    stall: float = 0.002
    stall_time: Span = (20_000, 100_000)
    timer: Span = (0, 1_000)
    uplink: Span = (500, 5_000)
    answer: Span = (50_000, 300_000)
    seen_for: float = 30 * SECOND


USUAL = Conditions()


@dataclass(slots=True, eq=False)
class Worker:
    """One worker's state.

    Args:
        places: calls it can have in hand.
        busy: places in use, held jobs included.
        held: jobs whose slot was missed.
        due: when its turn comes; None without one.
        planned: the visit it sleeps for, so that an older plan is void.
        broken: whether its own way to the endpoint is.
        lone: whether it stays away, for its calls alone fail; alone: how often it began to.
        operation: counts its visits; missed_in: the last in which a job missed its second slot.
    """

    places: int
    clock: ServerClock = field(default_factory=ServerClock)
    outcomes: Outcomes = field(default_factory=Outcomes)
    busy: int = 0
    held: int = 0
    due: float | None = None
    planned: float = -1.0
    operation: int = 0
    missed_in: int = 0
    misses: int = 0
    full: bool = False
    dead: bool = False
    broken: bool = False
    lone: bool = False
    alone: int = 0
    probe_wait: float = 0.0
    stopped_until: float = 0.0
    sits_out_until: float = 0.0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Permit:
    """A slot in a worker's hands.

    Args:
        late: when it is stale, by the worker's clock.
        again: whether its job missed a slot before.
        probe: whether its call is a hold's probe.
        own_probe: whether it is that of a worker whose calls alone fail.
    """

    late: float
    generation: int
    operation: int
    again: bool
    probe: bool = False
    own_probe: bool = False


@dataclass(slots=True)
class Record:
    """What a fleet did.

    Args:
        attempts: when each call began.
        refused: when each 429 was given.
        failed: when each call met an endpoint that was down, or a way that was.
        holds: when the fleet began to hold.
        missed: slots that were not used in time.
    """

    attempts: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    holds: list[float] = field(default_factory=list)
    visits: int = 0
    missed: int = 0
