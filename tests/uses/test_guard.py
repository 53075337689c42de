"""The guard, on a real server with a real worker; a body's length stands for its tokens."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.guarded import counting, filtered, payload, reasons, usd
from support.pools import Answers

from weighbridge import Client
from weighbridge.errors import SettingsError, UnknownPrice
from weighbridge.uses.decisions import to_json
from weighbridge.uses.guard import Document, Guard, Prices, RunBudget
from weighbridge_worker.calls import PermanentFailure

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def prices() -> Prices:
    """Return the bundled table."""
    return Prices.load()


async def test_a_limit_admits_what_meets_it_exactly(redis_url: str) -> None:
    async with counting(redis_url) as wb:
        guard = Guard(wb, max_input_tokens=200)
        at, over = await filtered(guard, [payload(200), payload(201)])
    assert (at.verdict, at.reason, at.input_tokens) == ("allow", None, 200)
    assert (over.verdict, over.reason) == ("reject", "over_input_tokens")
    assert (over.limit, over.over_by) == (200, 1)
    assert (over.usd_input, over.price_version) == (None, None), "no money was asked for"


async def test_input_and_worst_case_are_reported_apart(redis_url: str, prices: Prices) -> None:
    async with counting(redis_url) as wb:
        decision = await Guard(wb, prices).check(payload(200))
        in_batch = await Guard(wb, prices).check(payload(200), batch=True)
    assert (decision.usd_input, decision.usd_worst) == (usd(200, 0), usd(200))
    assert (in_batch.usd_input, in_batch.usd_worst) == (usd(200, 0) / 2, usd(200) / 2)
    assert decision.price_version == prices.version
    assert (decision.tally.api_calls, in_batch.tally.cache_hits) == (1, 1)


async def test_a_dollar_limit_is_held_against_the_price_that_was_chosen(
    redis_url: str, prices: Prices
) -> None:
    limit = usd(200)
    async with counting(redis_url) as wb:
        worst = Guard(wb, prices, max_usd=limit)
        only_input = Guard(wb, prices, max_usd=limit, judged="input")
        at, over = await filtered(worst, [payload(200), payload(200, max_tokens=101)])
        admitted = await only_input.check(payload(200, max_tokens=101))
    assert at.allowed
    assert (over.reason, over.limit, over.over_by) == ("over_usd", limit, Decimal("0.00001"))
    assert admitted.allowed
    assert admitted.judged == "input"


async def test_max_tokens_is_the_bodys_then_the_documents_then_the_callers(
    redis_url: str, prices: Prices
) -> None:
    bare = payload(200)
    del bare["max_tokens"]
    documents = [payload(200), Document(bare, max_tokens=7), bare]
    async with counting(redis_url) as wb:
        decisions = await filtered(Guard(wb, prices), documents, max_tokens=50)
        [unknown] = await filtered(Guard(wb, prices), [bare])
    assert [decision.max_tokens for decision in decisions] == [100, 7, 50]
    assert (unknown.verdict, unknown.usd_input, unknown.usd_worst) == ("allow", usd(200, 0), None)


@pytest.mark.parametrize("most", [None, -1, True, "many", 1.5])
async def test_a_worst_case_that_is_not_known_is_refused(
    redis_url: str, prices: Prices, most: Any
) -> None:
    async with counting(redis_url) as wb:
        guard = Guard(wb, prices, max_usd=Decimal(1))
        decision = await guard.check(json.dumps(payload(200, max_tokens=most)))
    assert decision.reason == "no_max_tokens"
    assert "names no max_tokens" in decision.message


async def test_a_model_without_a_price_is_refused_before_it_is_counted(
    redis_url: str, prices: Prices
) -> None:
    answers = Answers()
    unpriced = [payload(200 + n, model="claude-nonsense") for n in range(3)]
    async with counting(redis_url, answers) as wb:
        guard = Guard(wb, prices)
        with pytest.raises(UnknownPrice, match="claude-nonsense"):
            await guard.check(unpriced[0])
        documents = [unpriced[0], payload(200), unpriced[1], payload(201), unpriced[2]]
        decisions = await filtered(guard, documents)
    assert len(answers.bodies) == 2
    assert [decision.index for decision in decisions] == [0, 1, 2, 3, 4]
    assert reasons(decisions) == ["unknown_price", None, "unknown_price", None, "unknown_price"]


async def test_what_cannot_be_counted_is_refused_by_default(redis_url: str) -> None:
    failing = Answers(error=lambda body: PermanentFailure("invalid_request", "no such model"))
    async with counting(redis_url, failing) as wb:
        decisions = await filtered(Guard(wb, max_input_tokens=9), [payload(200), "not json", b""])
    assert reasons(decisions) == ["count_failed", "not_countable", "not_countable"]
    assert decisions[0].message == "invalid_request: no such model"
    assert decisions[0].digest is not None


async def test_what_cannot_be_counted_passes_if_the_caller_wants_it(
    redis_url: str, prices: Prices
) -> None:
    failing = Answers(error=lambda body: PermanentFailure("invalid_request", "no such model"))
    async with (
        counting(redis_url, failing) as wb,
        RunBudget.connect(wb.settings, run="r", limit=Decimal(1)) as budget,
    ):
        guard = Guard(wb, prices, on_count_failure="allow", budget=budget)
        decisions = await filtered(guard, [payload(200), "not json"])
        state = await budget.inspect()
    assert [decision.allowed for decision in decisions] == [True, True]
    assert reasons(decisions) == ["uncounted", "uncounted"]
    assert state.left == 1


async def test_a_count_that_does_not_come_fails_closed_or_open(redis_url: str) -> None:
    async with Client.connect(redis_url) as wb:
        closed = await Guard(wb, max_input_tokens=1).check(payload(200), timeout_s=0.2)
        guard = Guard(wb, max_input_tokens=1, on_count_failure="allow")
        opened = await guard.check(payload(200), timeout_s=0.2)
    assert (closed.reason, opened.reason) == ("count_failed", "uncounted")
    assert closed.message.startswith("result_timeout: ")


async def test_a_decision_is_json_without_a_digit_lost(redis_url: str, prices: Prices) -> None:
    async with counting(redis_url) as wb:
        decision = await Guard(wb, prices, max_usd=Decimal("0.0001")).check(
            Document(payload(201), metadata={"customer": 7})
        )
    written = json.loads(to_json(decision))
    assert written["usd_worst"] == str(usd(201))
    assert (written["limit"], written["metadata"]) == ("0.0001", {"customer": 7})
    assert written["tally"] == {
        "counts_used": 1,
        "api_calls": 1,
        "cache_hits": 0,
        "estimated": False,
    }


async def test_an_async_source_and_its_error_are_passed_on(redis_url: str) -> None:
    async def torn() -> AsyncIterator[dict[str, Any]]:
        yield payload(200)
        raise LookupError("the file is torn")

    async with counting(redis_url) as wb:
        with pytest.raises(LookupError, match="torn"):
            await filtered(Guard(wb), torn())
        assert len(await filtered(Guard(wb), [payload(200)], ordered=False)) == 1


async def test_limits_that_make_no_sense_are_refused(redis_url: str, tmp_path: Path) -> None:
    async with Client.connect(redis_url) as wb:
        with pytest.raises(SettingsError, match="needs prices"):
            Guard(wb, max_usd=Decimal(1))
        with pytest.raises(SettingsError, match="0 or more, not -1"):
            Guard(wb, max_input_tokens=-1)
        with pytest.raises(SettingsError, match="max_usd takes dollars"):
            Guard(wb, Prices.load(), max_usd=Decimal(-1))
