"""The queue protocol told a second time, in Python's own terms: it predicts each script's answer.

Jobs go by short names. Tokens are the server's; the model is told them once they were given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from weighbridge.exchange import Cancelled, Settled, SubmitStatus
from weighbridge.records import Lane


@dataclass(slots=True)
class ModelJob:
    """A live job.

    Args:
        place: ``ready``, ``leased`` or ``later``.
        over: its lease has ended, or its delay is over.
        expired: its deadline has passed.
        lost: somebody deleted its payload by hand.
    """

    lane: Lane
    score: int
    place: str = "ready"
    deliveries: int = 0
    attempts: int = 0
    token: int | None = None
    over: bool = False
    expired: bool = False
    lost: bool = False
    waiters: set[str] = field(default_factory=set)
    replies: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Claim:
    """Who empties its hands for which suspect."""

    worker: str
    suspect: str
    lapsed: bool = False


class QueueModel:
    """Every job in one place, and what has become of those that ended."""

    def __init__(self, digest: Callable[[str], str]) -> None:
        self._digest = digest
        self.jobs: dict[str, ModelJob] = {}
        self.tombstones: dict[str, str] = {}
        self.results: dict[str, str] = {}
        self.answered: set[str] = set()
        self.buried = 0
        self.paused = False
        self.claim: Claim | None = None
        self.interactive_run = 0
        self._fair: dict[Lane, dict[str, int]] = {lane: {} for lane in Lane}
        self.virtual: dict[Lane, int] = dict.fromkeys(Lane, 0)

    # The producers' side.

    def submit(
        self,
        name: str,
        lane: Lane,
        producer: str,
        *,
        waiter: str,
        stored: bool,
        max_queue: int = 100_000,
        force: bool = False,
        reply: str = "",
    ) -> SubmitStatus:
        """Submit; ``stored`` says whether its payload is there."""
        job = self.jobs.get(name)
        if job is not None:
            self._improve(job, lane, producer)
            job.lost = job.lost and not stored
            self._attach(job, waiter, reply)
            return "joined"
        if name in self.tombstones and not force:
            return "settled"
        if len(self.jobs) >= max_queue:
            return "full"
        if not stored:
            return "payload_missing"
        self.tombstones.pop(name, None)
        score = self._fair_score(lane, producer)
        self._fair[lane][producer] = score
        self.jobs[name] = job = ModelJob(lane, score)
        self._attach(job, waiter, reply)
        return "new"

    def _attach(self, job: ModelJob, waiter: str, reply: str) -> None:
        job.expired = False
        job.waiters |= {waiter} - {""}
        job.replies |= {reply} - {""}

    def _fair_score(self, lane: Lane, producer: str) -> int:
        virtual, fair = self.virtual[lane], self._fair[lane]
        for old in [old for old, score in fair.items() if score <= virtual]:
            del fair[old]
        return max(virtual, fair.get(producer, 0)) + 1

    def _improve(self, job: ModelJob, lane: Lane, producer: str) -> None:
        if job.lane is Lane.INTERACTIVE and lane is Lane.BATCH:
            return
        score = self._fair_score(lane, producer)
        if lane is not job.lane or score < job.score:
            job.lane, job.score = lane, score
            self._fair[lane][producer] = score

    def drop_failure(self, name: str) -> None:
        """Forget a failure, as whoever replays its job does."""
        if self.results.get(name) == "failed":
            del self.results[name]

    def cancel(self, name: str, waiter: str) -> Cancelled:
        """Withdraw."""
        job = self.jobs.get(name)
        if job is None:
            return "unknown"
        if waiter not in job.waiters:
            return "wanted"
        job.waiters.remove(waiter)
        if job.waiters or job.replies:
            return "wanted"
        if job.place == "leased":
            return "leased"
        del self.jobs[name]
        return "withdrawn"

    # The workers' side.

    def holds(self, name: str, token: int) -> bool:
        """Say whether this is the fence of the lease that runs for the job."""
        job = self.jobs.get(name)
        return job is not None and job.place == "leased" and job.token == token

    def publish(self, name: str, token: int, status: str) -> None:
        """Write a result: a count always, a failure by its owner and only where there is none."""
        if status == "counted" or (self.holds(name, token) and name not in self.results):
            self.results[name] = status

    def settle(self, name: str, token: int, status: str) -> Settled:
        """End a job whose result was published."""
        if not self.holds(name, token):
            return "stale"
        self.answered |= self.jobs.pop(name).replies
        self.tombstones[name] = status
        self.buried += status == "failed"
        return "settled"

    def release(self, name: str, token: int) -> bool:
        """Give a job back unharmed; False if the lease no longer holds."""
        if not self.holds(name, token):
            return False
        self.undo_delivery(self.jobs[name])
        self.requeue(self.jobs[name])
        return True

    def retry(self, name: str, token: int, *, due: bool) -> bool:
        """Give a job back with an attempt used; False if the lease no longer holds."""
        if not self.holds(name, token):
            return False
        job = self.jobs[name]
        self.undo_delivery(job)
        job.attempts += 1
        job.place, job.over = "later", due
        return True

    def undo_delivery(self, job: ModelJob) -> None:
        """Take back that it was handed out."""
        job.deliveries = max(0, job.deliveries - 1)

    def requeue(self, job: ModelJob) -> None:
        """Put it back into its own lane with its own score."""
        job.place, job.over = "ready", False

    # What a visit needs.

    def waiting(self, lane: Lane) -> list[str]:
        """Return the jobs of a lane in their order."""
        names = [n for n, job in self.jobs.items() if job.place == "ready" and job.lane is lane]
        return sorted(names, key=lambda name: (self.jobs[name].score, self._digest(name)))

    def overdue(self) -> list[str]:
        """Return the jobs whose deadline has passed, in the order in which they are swept."""
        return sorted((n for n, job in self.jobs.items() if job.expired), key=self._digest)

    # What happens to it.

    def be_over(self, place: str, names: Sequence[str]) -> None:
        """Let leases end, as if their workers had died, or delays."""
        for name in names:
            if name in self.jobs and self.jobs[name].place == place:
                self.jobs[name].over = True

    def expire(self, name: str) -> None:
        """Let a job's deadline pass."""
        if name in self.jobs:
            self.jobs[name].expired = True

    def lose_payload(self, name: str) -> None:
        """Lose a payload by hand."""
        if name in self.jobs:
            self.jobs[name].lost = True

    def lapse_claim(self) -> bool:
        """Let a claim lapse; False if there is none."""
        if self.claim is None:
            return False
        self.claim.lapsed = True
        return True

    def lose_bucket(self) -> None:
        """Forget all that the bucket's hash holds."""
        self.virtual = dict.fromkeys(Lane, 0)
        self.interactive_run, self.claim, self.paused = 0, None, False
