"""A request's own limits, as a rule: for any count, price and limit."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.records import Counted, Failed, NotCountable
from weighbridge.uses.admission import Admission
from weighbridge.uses.guard_decision import Document, GuardDecision, Judged, Limits
from weighbridge.uses.prices import Prices, Usage
from weighbridge.uses.rates import Rates

MODEL = "claude-haiku-5-5"
PRICES = Prices.load()
RATES = Rates(PRICES)

dollars = st.integers(0, 10**9).map(lambda nano: Decimal(nano) / 10**9)


def judged(admission: Admission, tokens: int, max_tokens: int | None) -> GuardDecision:
    """Judge a count."""
    begun = admission.begin(0, Document({"model": MODEL}, max_tokens), None)
    counted = Counted(digest="d", model=MODEL, input_tokens=tokens, source="api", counted_at=1)
    return admission.judge(begun, "d", counted)


@given(
    tokens=st.integers(0, 1_000_000),
    max_tokens=st.none() | st.integers(0, 64_000),
    token_limit=st.none() | st.integers(0, 1_000_000),
    usd_limit=st.none() | dollars,
    by=st.sampled_from(["worst", "input"]),
    batch=st.booleans(),
    charged=st.booleans(),
)
def test_what_keeps_all_limits_is_admitted_and_nothing_else(
    tokens: int,
    max_tokens: int | None,
    token_limit: int | None,
    usd_limit: Decimal | None,
    by: Judged,
    batch: bool,
    charged: bool,
) -> None:
    limits = Limits(token_limit, usd_limit, by)
    decision = judged(Admission(limits, RATES, batch, charged, False), tokens, max_tokens)
    usd = PRICES.usd(MODEL, Usage(tokens, max_tokens or 0), batch=batch)
    assert decision.usd_input == usd.input
    assert decision.usd_worst == (None if max_tokens is None else usd.total)
    price = decision.usd_worst if by == "worst" else decision.usd_input
    known = price is not None or not (charged or usd_limit is not None)
    fits = token_limit is None or tokens <= token_limit
    affordable = usd_limit is None or (price is not None and price <= usd_limit)
    assert decision.allowed == (known and fits and affordable)
    assert (decision.reason is None) == decision.allowed
    if decision.limit is not None and decision.over_by is not None:
        value = tokens if decision.reason == "over_input_tokens" else price
        assert value == decision.limit + decision.over_by
        assert decision.over_by > 0


@pytest.mark.parametrize("fail_open", [False, True])
@pytest.mark.parametrize(
    "outcome",
    [
        Failed(code="expired", message="too late"),
        NotCountable(code="malformed_payload", message=""),
    ],
)
def test_what_was_not_counted_follows_the_callers_choice(outcome: Any, fail_open: bool) -> None:
    admission = Admission(Limits(), None, False, False, fail_open)
    decision = admission.judge(admission.begin(0, Document(b"x"), None), None, outcome)
    assert decision.allowed == fail_open
    assert decision.message.startswith(f"{outcome.code}: ")
    assert (decision.tally.counts_used, decision.input_tokens) == (1, None)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"\xff", b'{"model": 3}', b"[" * 100_000, "\ud800", {"model": None}, {}],
)
def test_a_body_that_makes_no_sense_is_left_for_the_payload_check(body: Any) -> None:
    begun = Admission(Limits(), RATES, False, False, False).begin(0, Document(body), None)
    assert (begun.allowed, begun.model, begun.max_tokens) == (True, "", None)


def test_a_price_that_went_missing_after_the_count_refuses() -> None:
    admission = Admission(Limits(max_usd=Decimal(1)), RATES, False, False, False)
    begun = admission.begin(0, Document(b"{}", max_tokens=1), None)
    counted = Counted(digest="d", model="claude-no", input_tokens=1, source="api", counted_at=1)
    decision = admission.judge(begun, "d", counted)
    assert (decision.verdict, decision.reason) == ("reject", "unknown_price")
