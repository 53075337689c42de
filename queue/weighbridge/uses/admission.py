"""A request's own limits: may this payload be sent, by its count and its price?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from weighbridge.errors import UnknownPrice
from weighbridge.preparation import RawPayload
from weighbridge.records import Counted, Failed, NotCountable, Outcome
from weighbridge.uses.decisions import tally
from weighbridge.uses.guard_decision import Document, GuardDecision, Limits, Reason
from weighbridge.uses.rates import Rates

NO_MAX_TOKENS = (
    "the body names no max_tokens, so the most it can cost is not known;"
    " give one, or judge by the input alone"
)


class _Body(msgspec.Struct):
    model: str = ""
    max_tokens: Any = None


@dataclass(frozen=True, slots=True)
class Admission:
    """The rules.

    Args:
        rates: None if no money is asked for.
        charged: what is admitted takes money from a run's budget, so that a price must be known.
        fail_open: what could not be counted is admitted.
    """

    limits: Limits
    rates: Rates | None
    batch: bool
    charged: bool
    fail_open: bool

    def begin(self, index: int, document: Document, max_tokens: int | None) -> GuardDecision:
        """Decide what can be decided before the count: is a price known?

        Args:
            max_tokens: where neither the body nor the document names one.
        """
        body = _read_body(document.payload)
        known = [_sound(most) for most in (body.max_tokens, document.max_tokens, max_tokens)]
        decision = GuardDecision(
            index=index,
            model=body.model,
            max_tokens=next((most for most in known if most is not None), None),
            judged=self.limits.judged,
            metadata=document.metadata,
            price_version=self.rates.version if self.rates else None,
        )
        if self.rates is None or not body.model:
            return decision  # what names no model is refused by the payload check
        try:
            self.rates.usd(body.model, 1, batch=self.batch)
        except UnknownPrice as error:
            return _refused(decision, "unknown_price", str(error))
        return decision

    def judge(self, decision: GuardDecision, digest: str | None, outcome: Outcome) -> GuardDecision:
        """Hold a count against the limits."""
        if not isinstance(outcome, Counted):
            return self._uncounted(replace(decision, digest=digest), outcome)
        try:
            usd_input, usd_worst = self._price(outcome, decision.max_tokens)
        except UnknownPrice as error:
            return _refused(replace(decision, digest=digest), "unknown_price", str(error))
        price = usd_worst if self.limits.judged == "worst" else usd_input
        refusal = self._refusal(outcome.input_tokens, price)
        return replace(
            decision,
            verdict="reject" if refusal else "allow",
            digest=digest,
            model=outcome.model,
            input_tokens=outcome.input_tokens,
            usd_input=usd_input,
            usd_worst=usd_worst,
            tally=tally([outcome]),
            **refusal,
        )

    def _price(
        self, counted: Counted, max_tokens: int | None
    ) -> tuple[Decimal | None, Decimal | None]:
        """Give the price of the input, and with all of ``max_tokens`` written."""
        if self.rates is None:
            return None, None
        usd = self.rates.usd(counted.model, counted.input_tokens, max_tokens or 0, batch=self.batch)
        return usd.input, None if max_tokens is None else usd.total

    def _refusal(self, tokens: int, price: Decimal | None) -> dict[str, Any]:
        """Give the fields of a decision that refuses; none if the limits are kept."""
        limits = self.limits
        if price is None and (self.charged or limits.max_usd is not None):
            return {"reason": "no_max_tokens", "message": NO_MAX_TOKENS}
        if limits.max_input_tokens is not None and tokens > limits.max_input_tokens:
            return _excess("over_input_tokens", limits.max_input_tokens, tokens)
        if limits.max_usd is not None and price is not None and price > limits.max_usd:
            return _excess("over_usd", limits.max_usd, price)
        return {}

    def _uncounted(self, decision: GuardDecision, outcome: Failed | NotCountable) -> GuardDecision:
        decision = replace(decision, tally=tally([outcome]))
        message = f"{outcome.code}: {outcome.message}"
        if self.fail_open:
            return replace(decision, reason="uncounted", message=message)
        failed = isinstance(outcome, Failed)
        return _refused(decision, "count_failed" if failed else "not_countable", message)


def _excess(reason: Reason, limit: Decimal | int, value: Decimal | int) -> dict[str, Any]:
    return {"reason": reason, "limit": limit, "over_by": value - limit}


def _refused(decision: GuardDecision, reason: Reason, message: str) -> GuardDecision:
    return replace(decision, verdict="reject", reason=reason, message=message)


def _read_body(payload: RawPayload) -> _Body:
    """Read what decides the price; what is wrong with a body, its check will say."""
    try:
        if isinstance(payload, Mapping):
            return msgspec.convert(payload, _Body)
        return msgspec.json.decode(payload, type=_Body)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return _Body()


def _sound(max_tokens: Any) -> int | None:
    """Give a number of tokens, None for anything else: the API would refuse it."""
    whole = isinstance(max_tokens, int) and not isinstance(max_tokens, bool)
    return max_tokens if whole and max_tokens >= 0 else None
