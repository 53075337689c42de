"""What one visit of a worker must bring: the model of ``take``.

Slots never run short here: the rate is the highest there is, and a visit wants few.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stateful.model import Claim, ModelJob, QueueModel

from weighbridge.records import Lane, Lease

ALONE_FROM = 3
BURIED_BEFORE = 4
BATCH_EVERY = 10


@dataclass(slots=True)
class Seen:
    """What the server knows of a worker: its last operation, and what that one granted."""

    operation: int = 0
    granted: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asked:
    """One visit, as far as it decides what comes back."""

    worker: str
    operation: int
    confirmed: int
    want: int
    suspects: int
    in_flight: int
    held: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease as the model can foretell it: all but its token and its moments."""

    name: str
    verdict: str
    deliveries: int = 0
    attempts: int = 0


@dataclass(slots=True)
class Answer:
    """What a visit must bring."""

    grants: list[Grant] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    alone: bool = False
    late: bool = False
    """It arrived after a newer one, and changes nothing."""
    postponed: list[str] = field(default_factory=list)
    """Suspects that wait in ``later`` until another worker is free for them."""


class Visits:
    """Every worker's visits to one model."""

    def __init__(self, model: QueueModel) -> None:
        self._model = model
        self._seen: dict[str, Seen] = {}

    def note(self, worker: str, answer: Answer, leases: Sequence[Lease]) -> None:
        """Learn the tokens that the server gave."""
        if answer.late:
            return
        tokens = [
            (grant.name, lease.token)
            for grant, lease in zip(answer.grants, leases, strict=True)
            if grant.name in answer.fresh and grant.verdict != "lost"
        ]
        for name, token in tokens:
            self._model.jobs[name].token = token
        self._seen[worker].granted = tokens

    def visit(self, asked: Asked) -> Answer:
        """Foretell a visit."""
        seen = self._seen.setdefault(asked.worker, Seen())
        if asked.operation < seen.operation:
            return Answer(late=True)
        if seen.operation > asked.confirmed:
            self._take_back(seen)
        seen.operation = asked.operation
        for job in self._model.jobs.values():
            if job.place != "ready" and job.over:
                self._model.requeue(job)
        answer = Answer()
        self._sweep(answer)
        self._serve_held(asked, answer)
        self._hand_out(asked, 0 if self._model.paused else asked.want, answer)
        return answer

    def _take_back(self, seen: Seen) -> None:
        for name, token in seen.granted:
            self._model.release(name, token)

    def _sweep(self, answer: Answer) -> None:
        for name in self._model.overdue():
            job = self._model.jobs[name]
            if job.place == "leased":
                job.expired = False  # its deadline is the end of the lease now
            else:
                self._lease(name, "expired", answer)

    def _lease(self, name: str, verdict: str, answer: Answer) -> None:
        job = self._model.jobs[name]
        job.deliveries += 1
        job.place, job.over, job.token = "leased", False, None
        answer.grants.append(Grant(name, verdict, job.deliveries, job.attempts))
        answer.fresh.append(name)

    def _serve_held(self, asked: Asked, answer: Answer) -> None:
        for name, token in asked.held:
            if not self._model.holds(name, token):
                answer.grants.append(Grant(name, "lost"))
            elif not self._model.paused:
                job = self._model.jobs[name]
                job.over = False
                answer.grants.append(Grant(name, "", job.deliveries, job.attempts))

    def _hand_out(self, asked: Asked, places: int, answer: Answer) -> None:
        empty = asked.in_flight == 0 and not asked.held
        calls = 0
        cost = "wait" if asked.suspects else self._hand_out_claimed(asked, places, empty, answer)
        while True:
            calls += cost in ("call", "alone")
            if cost in ("alone", "wait") or calls >= places:
                return
            lane = self._next_lane()
            if lane is None:
                return
            name = self._model.waiting(lane)[0]
            job = self._model.jobs[name]
            self._model.virtual[lane] = max(self._model.virtual[lane], job.score)
            cost = self._hand_out_job(asked, name, empty and calls == 0, answer)

    def _next_lane(self) -> Lane | None:
        interactive, batch = (self._model.waiting(lane) for lane in Lane)
        if not (interactive and batch):
            return Lane.INTERACTIVE if interactive else Lane.BATCH if batch else None
        self._model.interactive_run += 1
        if self._model.interactive_run < BATCH_EVERY:
            return Lane.INTERACTIVE
        self._model.interactive_run = 0
        return Lane.BATCH

    def _hand_out_job(self, asked: Asked, name: str, first: bool, answer: Answer) -> str:
        job = self._model.jobs[name]
        delivery = job.deliveries + 1
        if job.lost or delivery >= BURIED_BEFORE:
            self._lease(name, "payload_missing" if job.lost else "poison", answer)
            return "uncalled"
        if delivery < ALONE_FROM:
            self._lease(name, "", answer)
            return "call"
        if first:
            self._end_claim(name)
            self._lease(name, "", answer)
            return "alone"
        if self._claim(asked.worker, name):
            answer.alone = True
            return "wait"
        job.place, job.over = "later", False
        answer.postponed.append(name)
        return "uncalled"

    def _hand_out_claimed(self, asked: Asked, places: int, empty: bool, answer: Answer) -> str:
        claim = self._model.claim
        if claim is None or claim.worker != asked.worker:
            return ""
        job = self._model.jobs.get(claim.suspect)
        if job is None or not _waits(job):
            self._model.claim = None
            return ""
        if not empty or places < 1:
            claim.lapsed = False
            answer.alone = not empty
            return "wait"
        return self._hand_out_job(asked, claim.suspect, True, answer)

    def _claim(self, worker: str, suspect: str) -> bool:
        claim = self._model.claim
        if claim is not None and claim.worker != worker and not claim.lapsed:
            return False
        self._model.claim = Claim(worker, suspect)
        return True

    def _end_claim(self, suspect: str) -> None:
        if self._model.claim is not None and self._model.claim.suspect == suspect:
            self._model.claim = None


def _waits(job: ModelJob) -> bool:
    return job.place in ("ready", "later")
