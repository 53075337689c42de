"""What judged decisions pass before they are handed out, in batches: approvals, budget, log."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from weighbridge.preparation import RawPayload
from weighbridge.uses.guard_decision import GuardDecision
from weighbridge.uses.review import APPROVABLE, ReviewLog
from weighbridge.uses.run_budget import Reservation, RunBudget


class Gate:
    """One run's gate.

    Args:
        spend: what is admitted is spent with that, and leaves no reservation.
    """

    def __init__(self, budget: RunBudget | None, review: ReviewLog | None, *, spend: bool) -> None:
        self._budget = budget
        self._review = review
        self._spend = spend
        self._claimant = uuid.uuid4().hex

    async def decide(
        self, judged: Sequence[GuardDecision], payloads: Mapping[int, RawPayload]
    ) -> list[GuardDecision]:
        """Make decisions final; at most one round trip each for approvals, budget and log.

        Raises:
            BudgetMismatch: the run's budget is gone.
            QueueUnreachable: the server does not answer.
        """
        decisions = await self._charged(await self._approved(judged))
        refused = [decision for decision in decisions if not decision.allowed]
        if self._review is not None and refused:
            await self._review.write(refused, payloads)
        return decisions

    async def abandon(self, decisions: Sequence[GuardDecision]) -> None:
        """Give back what decisions that nobody took hold: money, and approvals.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        reserved = [each.reservation for each in decisions if each.reservation is not None]
        if self._budget is not None and reserved:
            await self._budget.release(reserved)
        await self._give_back([each for each in decisions if each.reason == "approved"])

    async def _approved(self, judged: Sequence[GuardDecision]) -> list[GuardDecision]:
        refused = [each for each in judged if each.reason in APPROVABLE]
        if self._review is None or not refused:
            return list(judged)
        claims = await self._review.claim(refused, self._claimant)
        approved = {each.index for each, yes in zip(refused, claims, strict=True) if yes}
        return [
            replace(each, verdict="allow", reason="approved") if each.index in approved else each
            for each in judged
        ]

    async def _charged(self, decisions: list[GuardDecision]) -> list[GuardDecision]:
        prices = {each.index: each.price for each in decisions if each.allowed}
        amounts = {index: price for index, price in prices.items() if price is not None}
        if self._budget is None or not amounts:
            return decisions
        reservations = await self._budget.reserve(list(amounts.values()), spend=self._spend)
        by_index = dict(zip(amounts, reservations, strict=True))
        charged = [
            self._after(each, by_index[each.index]) if each.index in by_index else each
            for each in decisions
        ]
        await self._give_back(
            [
                before
                for before, after in zip(decisions, charged, strict=True)
                if before.reason == "approved" and not after.allowed
            ]
        )
        return charged

    def _after(self, decision: GuardDecision, reservation: Reservation) -> GuardDecision:
        assert self._budget is not None  # noqa: S101 - only called with one
        run = self._budget.run
        if reservation.left is None:
            held = None if self._spend else reservation.id
            return replace(decision, run=run, reservation=held)
        return replace(
            decision,
            verdict="reject",
            reason="over_run_budget",
            limit=self._budget.limit,
            over_by=reservation.usd - reservation.left,
            run=run,
        )

    async def _give_back(self, approved: Sequence[GuardDecision]) -> None:
        if self._review is not None and approved:
            await self._review.give_back(approved, self._claimant)
