"""Counts what one worker does, and how long it takes; where its figures come from."""

from collections import Counter

from weighbridge.figures import CallOutcome, Durations, InboxUse, WorkerFigures
from weighbridge.loop_clock import loop_time
from weighbridge.records import Counted, Failed
from weighbridge_worker.executor import HeldLease

MAX_CODES = 40
"""Codes told apart; an endpoint with statuses of its own invention must not make more of them."""

OTHER = "other"


class Tally:
    """One worker's counters; they only grow."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._inbox: Counter[str] = Counter()
        self._slots_missed = 0
        self._penalties = 0
        self._wait = Durations()
        self._call = Durations()
        self._total = Durations()

    def called(self, outcome: CallOutcome, seconds: float) -> None:
        """Note one attempt at the endpoint."""
        self._calls[outcome] += 1
        self._call.note(seconds)

    def ended(self, held: HeldLease, result: Counted | Failed, *, called: bool) -> None:
        """Note a job whose result has just been written.

        Args:
            called: whether a call ended it.
        """
        lease = held.lease
        # Both are of the server's clock: until the call began, no clock of ours has a say.
        wait_s = (lease.age_us + lease.slot_us) / 1_000_000
        if called:
            self._wait.note(wait_s)
        self._total.note(wait_s + max(0.0, loop_time() - held.slot_at))
        if isinstance(result, Failed):
            known = result.code in self._failed or len(self._failed) < MAX_CODES
            self._failed[result.code if known else OTHER] += 1

    def taken_in(self, use: InboxUse) -> None:
        """Note an inbox entry."""
        self._inbox[use] += 1

    def slot_missed(self) -> None:
        """Note a permit that came too late."""
        self._slots_missed += 1

    def penalised(self) -> None:
        """Note a fleet-wide pause that began with this worker's call."""
        self._penalties += 1

    def figures(self) -> WorkerFigures:
        """Return the figures as they stand."""
        return WorkerFigures(
            calls=dict(self._calls),
            failed=dict(self._failed),
            inbox=dict(self._inbox),
            slots_missed=self._slots_missed,
            penalties=self._penalties,
            wait=self._wait.histogram(),
            call=self._call.histogram(),
            total=self._total.histogram(),
        )
