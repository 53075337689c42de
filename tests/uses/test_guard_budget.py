"""The guard with a run's budget, and with people who approve."""

import json
from decimal import Decimal
from typing import Any

import anyio
import pytest
from support.guarded import counting, filtered, payload, usd

from weighbridge.uses.guard import Document, Guard, Prices, ReviewLog, RunBudget
from weighbridge.uses.review_desk import ReviewDesk

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def prices() -> Prices:
    """Return the bundled table."""
    return Prices.load()


async def test_a_budget_refuses_what_would_overshoot_it(redis_url: str, prices: Prices) -> None:
    limit = 2 * usd(200) + usd(100)
    async with (
        counting(redis_url) as wb,
        RunBudget.connect(wb.settings, run="nightly", limit=limit) as budget,
    ):
        guard = Guard(wb, prices, budget=budget)
        documents = [payload(200), payload(200), payload(200), payload(100)]
        one, two, over, small = await filtered(guard, documents)
        state = await budget.inspect()
    assert (one.allowed, two.allowed, small.allowed) == (True, True, True)
    assert (over.reason, over.limit) == ("over_run_budget", limit)
    assert over.over_by == usd(200) - usd(100)
    assert (state.spent, state.reserved) == (Decimal(0), limit)
    assert (one.run, over.run, over.reservation) == ("nightly", "nightly", None)


async def test_settling_and_releasing_end_a_reservation(redis_url: str, prices: Prices) -> None:
    async with (
        counting(redis_url) as wb,
        RunBudget.connect(wb.settings, run="nightly", limit=Decimal(1)) as budget,
    ):
        guard = Guard(wb, prices, budget=budget)
        one, two, three = await filtered(guard, [payload(200 + n) for n in range(3)])
        await guard.settle(one, usd=Decimal("0.0003"))
        await guard.settle(two)
        await guard.release(three)
        state = await budget.inspect()
    assert (state.spent, state.reserved) == (Decimal("0.0003") + usd(201), Decimal(0))


async def test_spending_filters_leave_nothing_to_settle(redis_url: str, prices: Prices) -> None:
    async with (
        counting(redis_url) as wb,
        RunBudget.connect(wb.settings, run="nightly", limit=Decimal(1)) as budget,
    ):
        [decision] = await filtered(Guard(wb, prices, budget=budget), [payload(200)], spend=True)
        state = await budget.inspect()
    assert decision.reservation is None
    assert (state.spent, state.reserved) == (usd(200), Decimal(0))


async def test_leaving_early_gives_back_what_was_not_taken(redis_url: str, prices: Prices) -> None:
    async with (
        counting(redis_url) as wb,
        RunBudget.connect(wb.settings, run="nightly", limit=Decimal(1)) as budget,
    ):
        guard = Guard(wb, prices, budget=budget)
        documents = [payload(200 + n) for n in range(100)]
        await filtered(Guard(wb), documents)  # into the cache, so that they come together
        decisions = guard.filter(documents)
        await anext(decisions)
        await decisions.aclose()
        state = await budget.inspect()
    assert state.reserved == usd(200)


async def test_a_cancelled_filter_gives_back_what_was_not_taken(
    redis_url: str, prices: Prices
) -> None:
    async with (
        counting(redis_url) as wb,
        RunBudget.connect(wb.settings, run="nightly", limit=Decimal(1)) as budget,
    ):
        documents = [payload(200 + n) for n in range(100)]
        await filtered(Guard(wb), documents)
        with anyio.CancelScope() as scope:
            decisions = Guard(wb, prices, budget=budget).filter(documents)
            try:
                async for _ in decisions:
                    scope.cancel()
                    await anyio.sleep_forever()
            finally:
                await decisions.aclose()
        assert (await budget.inspect()).reserved == usd(200)


async def test_money_is_reserved_a_batch_at_a_time(redis_url: str, prices: Prices) -> None:
    class Noting(RunBudget):
        calls = 0

        async def reserve(self, *args: Any, **options: Any) -> Any:
            self.calls += 1
            return await super().reserve(*args, **options)

    documents = [payload(200 + n) for n in range(500)]
    async with (
        counting(redis_url) as wb,
        Noting.connect(wb.settings, run="nightly", limit=Decimal(1)) as budget,
    ):
        await filtered(Guard(wb), documents)
        decisions = await filtered(Guard(wb, prices, budget=budget), documents)
    assert [decision.index for decision in decisions] == list(range(500))
    assert all(decision.allowed for decision in decisions)
    assert budget.calls < 100


async def test_refusals_go_to_the_review_log_and_an_approved_one_passes_once(
    redis_url: str, prices: Prices
) -> None:
    document = Document(payload(500), metadata={"id": "big"})
    async with (
        counting(redis_url) as wb,
        ReviewLog.connect(wb.settings, keep_payloads=True) as log,
        ReviewDesk.connect(wb.settings) as desk,
    ):
        guard = Guard(wb, prices, max_input_tokens=300, review=log)
        [refused] = await filtered(guard, [document])
        [entry] = await desk.entries()
        kept = await desk.payload(entry)
        await desk.approve(entry.refusal.digest or "")
        admitted, second = await filtered(guard, [document, document])
    assert entry.refusal == refused
    assert refused.metadata == {"id": "big"}
    assert kept is not None
    assert json.loads(kept) == document.payload
    assert (admitted.verdict, admitted.reason, admitted.over_by) == ("allow", "approved", 200)
    assert second.reason == "over_input_tokens"


async def test_an_approval_waits_while_the_budget_has_no_room(
    redis_url: str, prices: Prices
) -> None:
    async with (
        counting(redis_url) as wb,
        ReviewLog.connect(wb.settings) as log,
        ReviewDesk.connect(wb.settings) as desk,
        RunBudget.connect(wb.settings, run="poor", limit=usd(499)) as poor,
        RunBudget.connect(wb.settings, run="rich", limit=Decimal(1)) as rich,
    ):
        [refused] = await filtered(Guard(wb, max_input_tokens=300, review=log), [payload(500)])
        assert (await desk.payload((await desk.entries())[0])) is None
        await desk.drop(refused.digest or "")
        limited = {"max_input_tokens": 300, "review": log}
        [refused] = await filtered(Guard(wb, prices, **limited, budget=poor), [payload(500)])  # type: ignore[arg-type]
        await desk.approve(refused.digest or "")
        [no_room] = await filtered(Guard(wb, prices, **limited, budget=poor), [payload(500)])  # type: ignore[arg-type]
        [admitted] = await filtered(Guard(wb, prices, **limited, budget=rich), [payload(500)])  # type: ignore[arg-type]
    assert (no_room.reason, no_room.limit) == ("over_run_budget", usd(499))
    assert (admitted.verdict, admitted.reason) == ("allow", "approved")
