"""Prompts side by side: ranked, held against control and target, priced, none sunk by another."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.counting import Counting
from support.sandbox_pool import sandbox_pool

from weighbridge import Failed, Outcome
from weighbridge.errors import MalformedPayload, UnknownPrice
from weighbridge.uses.compare import Patch, compare
from weighbridge.uses.prices import Prices

pytestmark = pytest.mark.asyncio
EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples" / "compare"
MODEL = "claude-haiku-4-5"
BASE = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
VARIANTS: dict[str, Patch] = {
    "long": {"system": "s" * 5000},
    "short": {"system": "s" * 100},
    "blocks": {"system": [{"type": "text", "text": "s" * 200}]},
}


def weigh(body: Mapping[str, Any]) -> int:
    """A token a letter of the system prompt, ten for the frame."""
    system = body.get("system", "")
    return 10 + len(system if isinstance(system, str) else system[0]["text"])


async def test_the_most_concise_under_the_target_is_chosen() -> None:
    counting = Counting(weigh)
    compared = await compare(counting, BASE, VARIANTS, target=300)
    assert len(counting.bodies) == 4
    assert [row.name for row in compared.variants] == ["short", "blocks", "long"]
    assert [row.tokens for row in compared.variants] == [110, 210, 5010]
    assert [row.net for row in compared.variants] == [100, 200, 5000]
    assert [row.vs_target for row in compared.variants] == [-190, -90, 4710]
    assert [row.vs_control for row in compared.variants] == [-4900, -4800, 0]
    assert [row.bytes for row in compared.variants] == [100, 200, 5000]
    assert (compared.chosen, compared.control, compared.frame) == ("short", "long", 10)
    assert compared.tally.api_calls == 4


async def test_nothing_fits_under_a_target_too_low() -> None:
    compared = await compare(Counting(weigh), BASE, VARIANTS, target=5, control="short")
    assert compared.chosen is None
    assert [row.vs_control for row in compared.variants] == [0, 100, 4900]


async def test_equal_sizes_are_ranked_by_name() -> None:
    variants = {"b": {"system": "xx"}, "a": {"system": "yy"}}
    compared = await compare(Counting(weigh), BASE, variants)
    assert [row.name for row in compared.variants] == ["a", "b"]


async def test_a_prompt_below_the_cacheable_minimum_can_cost_more_than_a_longer_one() -> None:
    compared = await compare(Counting(weigh), BASE, VARIANTS, prices=Prices.load())
    row = {each.name: each for each in compared.variants}
    assert (row["short"].below_cache_minimum, row["long"].below_cache_minimum) == (True, False)
    assert row["short"].usd == row["short"].usd_cached == Decimal("0.110")
    assert row["long"].usd == Decimal("5.010")
    assert row["long"].usd_cached == Decimal("0.510")  # 10 anew, 5,000 at a tenth
    assert row["long"].usd_batch == Decimal("2.505")
    assert compared.price_version == Prices.load().version


async def test_one_failed_variant_does_not_sink_the_rest() -> None:
    def failing(body: Mapping[str, Any]) -> int | Outcome:
        return Failed(code="overloaded", message="busy") if len(str(body)) > 4000 else weigh(body)

    compared = await compare(Counting(failing), BASE, VARIANTS, target=300)
    assert compared.chosen == "short"
    *_, last = compared.variants
    assert (last.name, last.tokens, last.code) == ("long", None, "overloaded")
    assert [row.vs_control for row in compared.variants] == [None, None, None]


async def test_a_patch_may_replace_any_field_and_take_one_out() -> None:
    counting = Counting(weigh)
    base = {**BASE, "system": "s", "tools": []}
    await compare(counting, base, {"bare": {"tools": None, "system": "t"}})
    frame, bare = counting.bodies
    assert frame == {**BASE, "tools": []}
    assert bare == {**BASE, "system": "t"}


async def test_what_makes_no_sense_is_refused_before_anything_is_counted() -> None:
    counting = Counting(weigh)
    with pytest.raises(MalformedPayload, match="no variant"):
        await compare(counting, BASE, {})
    with pytest.raises(MalformedPayload, match="no variant 'x' among"):
        await compare(counting, BASE, VARIANTS, control="x")
    with pytest.raises(UnknownPrice):
        await compare(counting, BASE | {"model": "x"}, VARIANTS, prices=Prices.load())
    assert counting.bodies == []


async def test_the_example_is_ranked_through_a_real_pool(redis_url: str) -> None:
    base = json.loads((EXAMPLES / "base.json").read_text())
    names = ("handbook", "guided", "terse")
    variants = {name: {"system": (EXAMPLES / f"{name}.txt").read_text()} for name in names}
    async with sandbox_pool(redis_url) as (wb, stand_in):
        compared = await compare(wb, base, variants, target=400, prices=Prices.load())
        assert len(stand_in.ledger) == 4
    assert [row.name for row in compared.variants] == ["terse", "guided", "handbook"]
    assert compared.chosen == "terse"
    assert compared.tally.estimated
