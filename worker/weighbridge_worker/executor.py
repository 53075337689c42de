"""One lease whose slot has come: make its call, decide how the job goes on."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import anyio
import msgspec
from structlog.typing import FilteringBoundLogger

from weighbridge.bucket import Refusal
from weighbridge.loop_clock import loop_time
from weighbridge.records import Counted, Failed, Lease
from weighbridge_worker.calls import (
    Counter,
    KeyRefused,
    PassingFailure,
    PermanentFailure,
    Throttled,
    Tokens,
)

BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 30.0

VERDICTS = {
    "expired": "the job's deadline passed before it could be counted",
    "poison": "three workers died or fell silent over this payload; it was not tried again",
    "payload_missing": "the payload vanished from the queue; submit it again",
}


class HeldLease(msgspec.Struct, frozen=True):
    """A lease in this process, its times on the loop's clock.

    Args:
        slot_at: the moment of its permit, by what is known of the server's clock: never early.
        forfeit_at: from then on the permit is stale.
        ends_at: when another may own the job, by the same: never late.
        operation: the take that brought it.
        missed: whether it missed a slot before.
        generation: of the bucket's penalties when the permit was granted.
        probe: why the fleet holds, if this call is its probe; else empty.
        own_probe: whether it is this worker's own, whose calls alone fail.
    """

    lease: Lease
    body: bytes | None
    slot_at: float
    forfeit_at: float
    ends_at: float
    operation: int = 0
    missed: bool = False
    generation: int = 0
    probe: str = ""
    own_probe: bool = False

    @property
    def calls(self) -> bool:
        """Whether it is for a call; otherwise its job is only to be ended."""
        return not self.lease.verdict and self.body is not None


class Settle(msgspec.Struct, frozen=True):
    """The job ends with this result.

    Args:
        tokens: if a call counted it.
        call_failed: whether the endpoint failed its last call; None if there was none.
    """

    result: Counted | Failed
    tokens: Tokens | None = None
    call_failed: bool | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """The job comes back after a delay, an attempt used."""

    delay_s: float
    code: str


@dataclass(frozen=True, slots=True)
class Release:
    """The job goes back unharmed.

    Args:
        refusal: what the whole fleet is to make of it, if anything.
        key_refused: the words with which the endpoint refused this worker's key, or empty.
        probe_failed: how it failed, if it was the fleet's or the worker's probe; then others go
            first.
    """

    code: str
    refusal: Refusal | None = None
    key_refused: str = ""
    probe_failed: PassingFailure | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """The slot was missed: the worker keeps the job, with its payload, for its next take."""


Decision = Settle | Retry | Release | Hold


class Draining(Protocol):
    """Whether the worker is on its way out."""

    def is_set(self) -> bool:
        """True from the first signal on."""
        ...

    async def wait(self) -> None:
        """Return at the first signal."""
        ...


class Executor:
    """Decides how one leased job goes on; it makes the call and touches no queue.

    Args:
        met: told of each slot that is used, as the call begins.
    """

    def __init__(
        self,
        counter: Counter,
        draining: Draining,
        met: Callable[[HeldLease], None],
        log: FilteringBoundLogger,
        *,
        max_attempts: int,
    ) -> None:
        self._counter = counter
        self._draining = draining
        self._met = met
        self._log = log
        self._max_attempts = max_attempts

    async def decide(self, held: HeldLease) -> Decision:
        """Bring one lease to its decision."""
        lease = held.lease
        if lease.verdict or held.body is None:
            return self._fail(lease, lease.verdict or "payload_missing")
        if self._draining.is_set():
            return Release("draining")
        if loop_time() > held.forfeit_at:
            self._log.debug("slot_missed", digest=lease.digest[:12])
            return Hold()
        self._met(held)
        return await self._call(held, held.body)

    async def _call(self, held: HeldLease, body: bytes) -> Decision:
        lease, tokens = held.lease, None
        try:
            with anyio.CancelScope(deadline=held.ends_at):
                tokens = await self._counter.count(body, lease.betas)
        except PermanentFailure as error:
            failed = self._failed(lease, error.failure_code, str(error), lease.attempts + 1)
            return Settle(failed, call_failed=False)
        except PassingFailure as error:
            return self._retry(held, error)
        except Throttled as error:
            refusal = Refusal(error.retry_after_s, held.generation, error.hold, error.ramp)
            return Release(error.failure_code, refusal=refusal)
        except KeyRefused as error:
            return Release(error.failure_code, key_refused=str(error))
        if tokens is None:
            late = PassingFailure("timeout", "the lease ended before the answer came")
            return self._retry(held, late)
        self._log.debug("job_counted", digest=lease.digest[:12], attempts=lease.attempts + 1)
        return Settle(_counted(lease, tokens), tokens, call_failed=False)

    def _retry(self, held: HeldLease, error: PassingFailure) -> Decision:
        """Use an attempt; but a probe, the fleet's or our own, fails at no job's cost."""
        lease, code = held.lease, error.failure_code
        if held.probe or held.own_probe:
            self._log.info("probe_failed", digest=lease.digest[:12], code=code)
            return Release(code, probe_failed=error)
        attempts = lease.attempts + 1
        if attempts >= self._max_attempts:
            return Settle(self._failed(lease, code, str(error), attempts), call_failed=True)
        delay_s = random.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**attempts))  # noqa: S311
        self._log.info("call_failed", digest=lease.digest[:12], code=code, attempts=attempts)
        return Retry(delay_s, code)

    def _fail(self, lease: Lease, code: str) -> Settle:
        return Settle(self._failed(lease, code, VERDICTS[code], lease.attempts))

    def _failed(self, lease: Lease, code: str, message: str, attempts: int) -> Failed:
        self._log.warning("job_failed", digest=lease.digest[:12], code=code, attempts=attempts)
        return Failed(
            digest=lease.digest, model=lease.model, code=code, message=message, attempts=attempts
        )


def _counted(lease: Lease, tokens: Tokens) -> Counted:
    return Counted(
        digest=lease.digest,
        model=lease.model,
        input_tokens=tokens.input_tokens,
        source=tokens.source,
        counted_at=int(time.time()),
    )
