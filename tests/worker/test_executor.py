"""How one lease goes on after its call."""

import anyio
import pytest
from support.pools import Answers

from weighbridge.bucket import FAILING
from weighbridge.records import Lane, Lease
from weighbridge_worker.calls import PassingFailure, PermanentFailure
from weighbridge_worker.executor import Decision, Executor, HeldLease, Release, Retry, Settle
from weighbridge_worker.logs import make_logger

pytestmark = pytest.mark.asyncio
BUSY = PassingFailure("overloaded", "busy")


def held(*, attempts: int = 0, probe: str = "") -> HeldLease:
    """Make a lease whose slot has come."""
    lease = Lease(
        digest="d" * 64,
        token=1,
        verdict="",
        slot_us=0,
        ends_us=30_000_000,
        deliveries=1,
        attempts=attempts,
        lane=Lane.BATCH,
        model="claude-test",
        betas=(),
        producer="",
        age_us=0,
    )
    now = anyio.current_time()
    return HeldLease(lease, b"{}", now, now + 3600, now + 3600, probe=probe)


async def decide(lease: HeldLease, error: Exception | None) -> Decision:
    """Let an executor of two attempts decide."""
    log = make_logger("error", "json")
    executor = Executor(
        Answers(error=lambda _: error), anyio.Event(), lambda _: None, log, max_attempts=2
    )
    return await executor.decide(lease)


async def test_a_call_that_failed_uses_an_attempt_and_the_last_one_ends_the_job() -> None:
    assert isinstance(await decide(held(), BUSY), Retry)
    ended = await decide(held(attempts=1), BUSY)
    assert isinstance(ended, Settle)
    assert ended.call_failed is True


@pytest.mark.parametrize("hold", [FAILING, "enforced_spend_limit_reached"])
@pytest.mark.parametrize("attempts", [0, 1])
async def test_a_failed_probe_uses_no_attempt_even_if_it_were_the_last(
    attempts: int, hold: str
) -> None:
    decision = await decide(held(attempts=attempts, probe=hold), BUSY)
    assert decision == Release("overloaded", probe_failed=BUSY)


@pytest.mark.parametrize("error", [None, PermanentFailure("invalid_request", "no")])
async def test_a_count_and_a_refused_payload_are_answers(error: Exception | None) -> None:
    decision = await decide(held(), error)
    assert isinstance(decision, Settle)
    assert decision.call_failed is False


async def test_a_job_that_ends_without_a_call_says_nothing_of_the_endpoint() -> None:
    lease = held()
    decision = await decide(HeldLease(lease.lease, None, 0, 0, lease.ends_at), None)
    assert isinstance(decision, Settle)
    assert decision.call_failed is None
