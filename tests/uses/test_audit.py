"""An audit's sums reconcile, and say what could not be counted."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.counting import Counting
from support.sandbox_pool import sandbox_pool

from weighbridge import Failed, NotCountable, Outcome
from weighbridge.errors import UnknownPrice
from weighbridge.uses.audit import Audit, Split, Volume, audit
from weighbridge.uses.prices import Prices
from weighbridge.uses.tool_budget import OverBudget, check_budget
from weighbridge.uses.toolset import Tool, read_tools

pytestmark = pytest.mark.asyncio
EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "audit" / "tools.json"
MODEL = "claude-sonnet-5-5"


def tool(name: str, size: int) -> Tool:
    return {"name": name, "description": "d" * size, "input_schema": {"type": "object"}}


def weigh(body: Mapping[str, Any]) -> int:
    """Ten tokens a request, 500 for having tools, then a tool's letters."""
    tools = body.get("tools", [])
    sizes = [len(each.get("description", "")) + 7 * len(each["input_schema"]) for each in tools]
    return 10 + (500 if tools else 0) + sum(sizes)


def reconciles(weighed: Audit) -> bool:
    marginals = sum(row.tokens or 0 for row in weighed.tools)
    return weighed.none + (weighed.preamble or 0) + marginals == weighed.all


async def test_the_preamble_stands_alone_and_the_sums_reconcile() -> None:
    counting = Counting(weigh)
    weighed = await audit(counting, [tool("a", 30), tool("b", 90)], model=MODEL)
    assert len(counting.bodies) == 4
    assert [(row.name, row.tokens) for row in weighed.tools] == [("a", 37), ("b", 97)]
    assert (weighed.none, weighed.preamble, weighed.added, weighed.all) == (10, 500, 634, 644)
    assert reconciles(weighed)
    assert (weighed.tally.counts_used, weighed.tally.api_calls) == (4, 4)
    assert weighed.price_version is None


async def test_one_tool_takes_two_counts_and_holds_its_preamble() -> None:
    counting = Counting(weigh)
    weighed = await audit(counting, [tool("a", 30)], model=MODEL)
    assert len(counting.bodies) == 2
    assert (weighed.tools[0].tokens, weighed.preamble) == (537, None)
    assert reconciles(weighed)


async def test_the_example_takes_22_counts_through_a_real_pool(redis_url: str) -> None:
    tools = read_tools(json.loads(EXAMPLE.read_text()))
    async with sandbox_pool(redis_url) as (wb, stand_in):
        weighed = await audit(wb, tools, model=MODEL)
        assert len(stand_in.ledger) == 22
        again = await audit(wb, tools, model=MODEL)
        assert len(stand_in.ledger) == 22
    assert len(weighed.tools) == 20
    assert all(row.tokens for row in weighed.tools)
    assert reconciles(weighed)
    assert weighed.tally.estimated
    assert again.tally.cache_hits == 22
    suggested = {row.name: row.suggestion for row in weighed.tools}
    assert suggested["search_catalogue"] == "shorten"
    assert suggested["current_time"] == "keep"


async def test_money_and_uses_follow_the_volume() -> None:
    volume = Volume(requests=1000, uses={"a": 100})
    prices = Prices.load()
    tools = [tool("a", 30), tool("b", 90)]
    weighed = await audit(Counting(weigh), tools, model=MODEL, prices=prices, volume=volume)
    first, second = weighed.tools
    assert first.usd_month == Decimal(37) * 2 / 1_000_000 * 1000
    assert (first.uses, first.tokens_per_use, first.suggestion) == (100, 370.0, "keep")
    assert (second.uses, second.tokens_per_use, second.suggestion) == (0, None, "remove")
    assert weighed.usd_month == Decimal(634) * 2 / 1_000_000 * 1000
    assert weighed.price_version == prices.version


async def test_an_unknown_price_is_told_before_anything_is_counted() -> None:
    counting = Counting(weigh)
    with pytest.raises(UnknownPrice):
        await audit(counting, [tool("a", 1)], model="claude-nonsense", prices=Prices.load())
    assert counting.bodies == []


async def test_what_cannot_be_counted_is_a_row_and_spoils_no_other() -> None:
    search: Tool = {"type": "web_search_20250305", "name": "web_search"}
    tools = [tool("a", 30), search, tool("a", 31), tool("b", 90)]
    counting = Counting(weigh)
    weighed = await audit(counting, tools, model=MODEL)
    assert [row.code for row in weighed.tools] == ["", "not_countable", "duplicate_name", ""]
    assert "web search" in weighed.tools[1].message
    assert [row.tokens for row in weighed.tools] == [37, None, None, 97]
    assert weighed.preamble == 500
    assert len(counting.bodies) == 4


async def test_a_count_that_failed_leaves_the_preamble_open() -> None:
    def failing(body: Mapping[str, Any]) -> int | Outcome:
        names = [each["name"] for each in body.get("tools", [])]
        return Failed(code="overloaded", message="busy") if names == ["b"] else weigh(body)

    weighed = await audit(Counting(failing), [tool("a", 30), tool("b", 90)], model=MODEL)
    assert [(row.tokens, row.code) for row in weighed.tools] == [(None, "overloaded"), (97, "")]
    assert weighed.preamble is None
    assert weighed.code == ""


async def test_a_set_that_cannot_be_counted_says_why() -> None:
    refused = NotCountable(code="not_countable", message="no")
    weighed = await audit(Counting(lambda _: refused), [tool("a", 30)], model=MODEL)
    assert (weighed.code, weighed.message) == ("not_countable", "no")


async def test_a_choice_is_held_equal_but_for_the_tool_it_names() -> None:
    counting = Counting(weigh)
    choice = {"type": "tool", "name": "a"}
    await audit(counting, [tool("a", 1), tool("b", 2)], model=MODEL, tool_choice=choice)
    none, everything, without_a, without_b = counting.bodies
    assert [body.get("tool_choice") for body in (none, without_a)] == [None, None]
    assert everything["tool_choice"] == without_b["tool_choice"] == choice


async def test_one_tool_is_taken_apart() -> None:
    counting = Counting(weigh)
    big = {**tool("big", 300), "input_schema": {"type": "object", "properties": {}, "required": []}}
    weighed = await audit(counting, [tool("a", 1), big], model=MODEL, split="big")
    assert len(counting.bodies) == 6
    assert weighed.split == Split("big", description=300, schema=14, rest=7)


async def test_the_gate_knows_a_budget_and_a_baseline() -> None:
    weighed = await audit(Counting(weigh), [tool("a", 30), tool("b", 90)], model=MODEL)
    check_budget(weighed, budget=634, baseline=604, max_increase=0.05)
    with pytest.raises(OverBudget, match="34 over the budget of 600"):
        check_budget(weighed, budget=600)
    with pytest.raises(OverBudget, match=r"5\.7% more than the 600 of the baseline; 5\.0%"):
        check_budget(weighed, baseline=600, max_increase=0.05)
