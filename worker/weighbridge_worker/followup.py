"""Carries out what an executor decided: on the queue, the bucket, this worker's standing."""

from collections.abc import Callable

from redis.exceptions import RedisError
from structlog.typing import FilteringBoundLogger

from weighbridge.bucket import FAILING, Bucket, Refusal
from weighbridge.jobs import Jobs
from weighbridge_worker.calls import PassingFailure
from weighbridge_worker.executor import Decision, HeldLease, Hold, Release, Retry, Settle
from weighbridge_worker.feedback import Feedback
from weighbridge_worker.settler import Settler
from weighbridge_worker.taker import Taker
from weighbridge_worker.tally import Tally


class FollowUp:
    """One worker's hands after each call.

    If the server is away, a lease is left to end by itself; nothing else is lost by that.

    Args:
        key_refused: told the code and the words when the endpoint refuses our key.
        probed: told how each probe of a held fleet failed, or None if it succeeded.
    """

    def __init__(
        self,
        jobs: Jobs,
        bucket: Bucket,
        settler: Settler,
        taker: Taker,
        feedback: Feedback,
        tally: Tally,
        key_refused: Callable[[str, str], None],
        probed: Callable[[PassingFailure | None], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._jobs = jobs
        self._bucket = bucket
        self._settler = settler
        self._taker = taker
        self._feedback = feedback
        self._tally = tally
        self._key_refused = key_refused
        self._probed = probed
        self._log = log

    async def carry_out(self, held: HeldLease, decision: Decision) -> None:
        """Carry one decision out, and free the lease's place."""
        failed = _call_failed(decision)
        if failed is not None:
            self._taker.heard(held, failed=failed)
        try:
            if isinstance(decision, Settle):
                self._settler.settle(held, decision)
            elif isinstance(decision, Retry):
                await self._jobs.retry(held.lease, decision.delay_s)
            elif isinstance(decision, Release):
                await self._release(held, decision)
        except RedisError as error:
            digest = held.lease.digest[:12]
            self._log.warning("lease_left", digest=digest, error=type(error).__name__)
        if isinstance(decision, Hold):
            self._tally.slot_missed()
            self._taker.missed(held)
        else:
            self._taker.finished(held)
        if isinstance(decision, Settle):
            await self._learn(held, decision)

    async def _release(self, held: HeldLease, decision: Release) -> None:
        if decision.refusal is not None:
            await self._penalise(decision.code, decision.refusal)
        failure = decision.probe_failed
        await self._jobs.release([held.lease], behind=failure is not None)
        if failure is not None and held.probe:
            self._probed(failure)
        if decision.key_refused:
            self._key_refused(decision.code, decision.key_refused)

    async def _penalise(self, code: str, refusal: Refusal) -> None:
        """Pause the fleet; the worker whose 429 began the penalty says so, once for all."""
        if await self._bucket.penalise(refusal):
            self._tally.penalised()
            if refusal.hold:
                self._log.warning("holding", code=code, pause_s=refusal.wait_s)
            else:
                self._log.warning("throttled", code=code, pause_s=refusal.wait_s)

    async def _learn(self, held: HeldLease, decision: Settle) -> None:
        """Take what an answer tells: of the key, of a hold, of the endpoint's bucket."""
        try:
            if decision.tokens is not None:
                self._taker.key_accepted()
            if _ends_hold(held, decision):
                await self._bucket.probed()
                self._log.info("resumed")
                self._probed(None)
            if decision.tokens is not None:
                await self._feedback.heard(decision.tokens)
        except RedisError as error:
            self._log.debug("feedback_lost", error=type(error).__name__)


def _call_failed(decision: Decision) -> bool | None:
    """Say whether the endpoint failed the call; None if there was none, or it says nothing."""
    if isinstance(decision, Settle):
        return decision.call_failed
    failed = isinstance(decision, Retry) or (
        isinstance(decision, Release) and decision.probe_failed is not None
    )
    return True if failed else None


def _ends_hold(held: HeldLease, decision: Settle) -> bool:
    """Say whether a probe succeeded; where calls failed, any answer is a success."""
    if decision.tokens is not None:
        return bool(held.probe)
    return held.probe == FAILING and decision.call_failed is False
