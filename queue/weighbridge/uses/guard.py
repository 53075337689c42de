"""Guard what is sent: a request's own limits, a budget for a whole run, a log for people.

::

    async with (
        Client.connect(url) as wb,
        RunBudget.connect(wb.settings, run="nightly", limit=Decimal(25)) as budget,
    ):
        guard = Guard(wb, Prices.load(), max_usd=Decimal("0.50"), budget=budget)
        async for decision in guard.filter(payloads):
            if decision.allowed:
                ...  # generate
                await guard.settle(decision, usd=what_it_came_to)
"""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from typing import Literal, Protocol

import anyio

from weighbridge.count_stream import Item
from weighbridge.errors import (
    QueueUnreachable,
    ResultTimeout,
    SettingsError,
    UnknownPrice,
    WeighbridgeError,
)
from weighbridge.preparation import RawPayload
from weighbridge.records import Failed, Lane
from weighbridge.uses.admission import Admission
from weighbridge.uses.gate import Gate
from weighbridge.uses.guard_decision import Document, GuardDecision, Judged, Limits
from weighbridge.uses.guard_source import Documents, GuardSource
from weighbridge.uses.prices import Prices
from weighbridge.uses.rates import Rates
from weighbridge.uses.review import ReviewLog
from weighbridge.uses.run_budget import RunBudget

__all__ = ["Document", "Guard", "GuardDecision", "Prices", "ReviewLog", "RunBudget"]

LEAVE_S = 5.0
"""How long it may take to give back what was reserved for decisions that nobody took."""


class Batches(Protocol):
    """The part of the client that the guard needs."""

    def count_batches(
        self,
        payloads: Iterable[RawPayload] | AsyncIterable[RawPayload],
        *,
        lane: Lane,
        betas: Iterable[str],
        ordered: bool,
        in_flight: int,
        withdraw: bool,
    ) -> AsyncGenerator[list[Item], None]:
        """Count payloads and yield together what has come meanwhile."""
        ...


class Guard:
    """Admits payloads, or refuses them with a reason.

    Args:
        prices: needed for limits in dollars; with them every decision says what it would cost, and
            a model without a price is refused before it is counted.
        max_input_tokens: of a request; what meets a limit exactly is admitted.
        max_usd: of a request, at the price that ``judged`` names: with all of ``max_tokens``
            written (``worst``), or of the input alone (``input``).
        on_count_failure: what becomes of a payload whose count failed or that cannot be counted.
            If it is allowed, it is allowed at no price, whatever budget there is.
        budget: every admitted payload's price is reserved of it.
        review: every refusal is written there, and what a person approved is admitted once.

    Raises:
        SettingsError: a limit makes no sense, or needs prices.
    """

    def __init__(
        self,
        client: Batches,
        prices: Prices | None = None,
        *,
        max_input_tokens: int | None = None,
        max_usd: Decimal | None = None,
        judged: Judged = "worst",
        on_count_failure: Literal["reject", "allow"] = "reject",
        budget: RunBudget | None = None,
        review: ReviewLog | None = None,
    ) -> None:
        if prices is None and (max_usd is not None or budget is not None):
            raise SettingsError("a limit in dollars needs prices: give Prices.load()")
        self._client = client
        self._limits = Limits(max_input_tokens, max_usd, judged)
        self._rates = Rates(prices) if prices else None
        self._fail_open = on_count_failure == "allow"
        self._budget = budget
        self._review = review

    async def check(
        self,
        payload: RawPayload | Document,
        *,
        max_tokens: int | None = None,
        batch: bool = False,
        lane: Lane = Lane.INTERACTIVE,
        timeout_s: float = 60.0,
    ) -> GuardDecision:
        """Decide about one payload.

        Args:
            max_tokens: where the body names none.
            batch: at the price of the Batches API.

        A queue that does not answer, or not within ``timeout_s``, is a failed count; with a budget
        it refuses whatever ``on_count_failure`` says, for nothing could be reserved.

        Raises:
            UnknownPrice: no price is known for the model; nothing was counted.
        """
        document = payload if isinstance(payload, Document) else Document(payload)
        try:
            with anyio.fail_after(timeout_s):
                decision = await self._decide_one(document, max_tokens, batch, lane)
        except TimeoutError:
            decision = self._failed(
                document, max_tokens, batch, ResultTimeout(f"no result within {timeout_s:g} s")
            )
        except QueueUnreachable as error:
            decision = self._failed(document, max_tokens, batch, error)
        if decision.reason == "unknown_price":
            raise UnknownPrice(decision.message)
        return decision

    async def filter(
        self,
        documents: Documents,
        *,
        max_tokens: int | None = None,
        batch: bool = False,
        spend: bool = False,
        lane: Lane = Lane.BATCH,
        betas: Iterable[str] = (),
        ordered: bool = True,
        in_flight: int = 1000,
    ) -> AsyncGenerator[GuardDecision, None]:
        """Decide about payloads as they come, at most ``in_flight`` of them on their way.

        Yields a decision a payload, in the order of the payloads or, if not ``ordered``, of the
        counts. Money is reserved in batches, in the order of the decisions; decisions that a
        caller who leaves early did not take give theirs back.

        Args:
            max_tokens: where neither the body nor the ``Document`` names any.
            batch: at the price of the Batches API.
            spend: what is admitted is spent with that, and there is nothing to settle: for a
                caller that will not learn what it came to. Decisions that were not taken are
                spent too.

        Raises:
            QueueUnreachable: the server does not answer.
            BudgetMismatch: the run's budget is gone.
        """
        keep = self._review is not None and self._review.keeps_payloads
        source = GuardSource(self._admission(batch), documents, max_tokens, keep=keep)
        gate = Gate(self._budget, self._review, spend=spend)
        batches = self._client.count_batches(
            source.payloads(),
            lane=lane,
            betas=betas,
            ordered=ordered,
            in_flight=in_flight,
            withdraw=True,
        )
        async with aclosing(batches):
            async for items in batches:
                async with aclosing(_handed_out(gate, source, source.judged(items))) as decisions:
                    async for decision in decisions:
                        yield decision
        async with aclosing(_handed_out(gate, source, source.rest())) as decisions:
            async for decision in decisions:
                yield decision

    async def settle(self, decision: GuardDecision, *, usd: Decimal | None = None) -> None:
        """Say what an admitted payload came to; None is all that was reserved.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        if self._budget is not None and decision.reservation is not None:
            await self._budget.settle({decision.reservation: usd})

    async def release(self, decision: GuardDecision) -> None:
        """Say that an admitted payload was not sent.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        await self.settle(decision, usd=Decimal(0))

    def _admission(self, batch: bool) -> Admission:
        charged = self._budget is not None
        return Admission(self._limits, self._rates, batch, charged, self._fail_open)

    async def _decide_one(
        self, document: Document, max_tokens: int | None, batch: bool, lane: Lane
    ) -> GuardDecision:
        decisions = self.filter([document], max_tokens=max_tokens, batch=batch, lane=lane)
        async with aclosing(decisions):
            return await anext(decisions)

    def _failed(
        self, document: Document, max_tokens: int | None, batch: bool, error: WeighbridgeError
    ) -> GuardDecision:
        admission = self._admission(batch)
        if self._budget is not None:
            admission = replace(admission, fail_open=False)
        outcome = Failed(code=error.code, message=str(error))
        return admission.judge(admission.begin(0, document, max_tokens), None, outcome)


async def _handed_out(
    gate: Gate, source: GuardSource, judged: Sequence[GuardDecision]
) -> AsyncGenerator[GuardDecision, None]:
    """Yield decisions once they are final; those that nobody takes hold nothing."""
    decisions = await gate.decide(judged, source.kept)
    source.forget(decisions)
    taken = 0
    try:
        for decision in decisions:
            taken += 1
            yield decision
    finally:
        if taken < len(decisions):
            with anyio.move_on_after(LEAVE_S, shield=True):
                await gate.abandon(decisions[taken:])
