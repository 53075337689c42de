"""Routing: the smallest model that suits a payload, by what it counts with that model."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.histories import UNHURRIED
from support.sandbox_pool import sandbox_pool
from support.scales import Scale

from weighbridge.errors import SettingsError, UnknownPrice
from weighbridge.records import Failed, Outcome, Payload
from weighbridge.uses.bands import Band, Bands
from weighbridge.uses.decisions import to_json
from weighbridge.uses.prices import Prices
from weighbridge.uses.route import Router
from weighbridge.uses.route_decision import RouteDecision
from weighbridge.uses.signals import Body, Rule

pytestmark = pytest.mark.asyncio
SMALL, MIDDLE, LARGE = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
OLD = "claude-haiku-4-5"
THREE = Bands((Band(SMALL, 2000), Band(MIDDLE, 50_000), Band(LARGE)))
MIXED = Bands((Band(OLD, 2000), Band(MIDDLE, 50_000), Band(LARGE)))


@pytest.fixture(scope="module")
def prices() -> Prices:
    """Return the bundled table."""
    return Prices.load()


def body(**fields: Any) -> dict[str, Any]:
    """Make a payload that names no model."""
    return {"messages": [{"role": "user", "content": "hello"}], **fields}


def counting(**tokens: int | Outcome) -> Scale:
    """Count by model: ``old`` for Haiku 4.5, ``new`` for the others, or a model's last word."""

    def answer(payload: Payload) -> int | Outcome:
        for name, count in tokens.items():
            if name in payload.model:
                return count
        return tokens["old" if payload.model == OLD else "new"]

    return Scale(answer)


def models(scale: Scale) -> list[str]:
    """Say which models were counted with."""
    return [counted["model"] for counted in scale.bodies]


@pytest.mark.parametrize(
    ("tokens", "model"),
    [
        (1, SMALL),
        (1_999, SMALL),
        (2_000, MIDDLE),
        (49_999, MIDDLE),
        (50_000, LARGE),
        (999_999, LARGE),
    ],
)
async def test_size_decides_and_bounds_are_exclusive(
    prices: Prices, tokens: int, model: str
) -> None:
    scale = counting(new=tokens)
    decision = await Router(scale, THREE, prices=prices).route(body())
    assert (decision.status, decision.model, decision.by_size) == ("routed", model, model)
    assert (decision.input_tokens, decision.counted_with) == (tokens, SMALL)
    assert (decision.same_tokenizer, decision.escalated) == (True, ())
    assert models(scale) == [SMALL], "one tokenizer, one count"
    assert decision.tally.counts_used == 1
    assert decision.price_version == prices.version


async def test_the_chosen_model_counts_for_itself_where_its_tokenizer_differs(
    prices: Prices,
) -> None:
    scale = counting(old=2_500, new=3_250)
    decision = await Router(scale, MIXED, prices=prices).route(body())
    assert models(scale) == [OLD, MIDDLE]
    assert (decision.model, decision.input_tokens) == (MIDDLE, 3_250)
    assert (decision.counted_with, decision.same_tokenizer) == (MIDDLE, True)
    assert [(one.verdict, one.input_tokens) for one in decision.considered] == [
        ("too_small", 2_500),
        ("chosen", 3_250),
        ("not_needed", 3_250),
    ]


async def test_the_second_count_may_take_it_one_band_further(prices: Prices) -> None:
    scale = counting(old=40_000, new=52_000)
    decision = await Router(scale, MIXED, prices=prices).route(body())
    assert models(scale) == [OLD, MIDDLE]
    assert (decision.by_size, decision.model) == (MIDDLE, LARGE)
    assert (decision.escalated, decision.same_tokenizer) == (("recount",), True)
    assert "raised" not in decision.reason


async def test_a_reference_of_another_tokenizer_costs_the_second_count(prices: Prices) -> None:
    bands = Bands(THREE.bands, reference=OLD)
    scale = counting(old=1_800, new=2_300)
    decision = await Router(scale, bands, prices=prices).route(body())
    assert models(scale) == [OLD, SMALL]
    assert (decision.by_size, decision.model, decision.escalated) == (SMALL, MIDDLE, ("recount",))


async def test_two_counts_are_the_most_and_a_third_tokenizer_is_said_to_be_missing() -> None:
    bands = Bands(
        (Band(OLD, 100, window=9999), Band("a", 200, window=9999), Band("b", window=9999))
    )
    scale = Scale(lambda payload: {OLD: 150, "a": 250}[payload.model])
    decision = await Router(scale, bands).route(body())
    assert models(scale) == [OLD, "a"]
    assert (decision.model, decision.same_tokenizer) == ("b", False)
    assert (decision.counted_with, decision.input_tokens) == (OLD, 150)
    assert decision.considered[-1].input_tokens is None


async def test_strict_counts_every_candidate_at_once(prices: Prices) -> None:
    scale = counting(haiku=2_100, sonnet=49_000, opus=70_000)
    decision = await Router(scale, THREE, prices=prices, strict=True).route(body())
    assert models(scale) == [SMALL, MIDDLE, LARGE]
    assert (decision.model, decision.counted_with, decision.input_tokens) == (
        MIDDLE,
        MIDDLE,
        49_000,
    )


async def test_the_answer_needs_room_in_the_window(prices: Prices) -> None:
    bands = Bands((Band(OLD, 190_000), Band(LARGE)))
    fits = await Router(counting(old=150_000), bands, prices=prices).route(body(max_tokens=50_000))
    assert (fits.model, fits.max_output) == (OLD, 50_000)
    scale = counting(old=150_000, new=195_000)
    decision = await Router(scale, bands, prices=prices).route(body(max_tokens=50_001))
    assert (decision.by_size, decision.model, decision.escalated) == (OLD, LARGE, ("window",))
    assert decision.considered[0].verdict == "window_exceeded"
    assert "raised from below 190,000" not in decision.reason
    told = await Router(scale, bands, prices=prices).route(body(max_tokens=50_001), max_output=0)
    assert (told.model, told.max_output) == (OLD, 0)


async def test_what_fits_nowhere_says_so(prices: Prices) -> None:
    decision = await Router(counting(new=1_000_000), THREE, prices=prices).route(
        body(), max_output=1
    )
    assert (decision.status, decision.model, decision.input_tokens) == (
        "nothing_fits",
        None,
        1_000_000,
    )
    assert "1,000,000 tokens and 1 for the answer fit no band" in decision.reason
    bounded = Bands((Band(SMALL, 2_000),))
    decision = await Router(counting(new=2_000), bounded, prices=prices).route(body())
    assert (decision.status, decision.by_size) == ("nothing_fits", None)


async def test_a_floor_is_respected_and_recorded(prices: Prices) -> None:
    scale = counting(new=10)
    decision = await Router(scale, THREE, prices=prices).route(body(), floor=MIDDLE)
    assert (decision.by_size, decision.model, decision.escalated) == (SMALL, MIDDLE, ("floor",))
    assert [one.verdict for one in decision.considered] == ["below_floor", "chosen", "not_needed"]
    assert models(scale) == [MIDDLE]
    assert decision.reason == "~10 tokens: below 50,000, raised from below 2,000"
    above = await Router(counting(new=60_000), THREE, prices=prices).route(body(), floor=MIDDLE)
    assert (above.model, above.escalated) == (LARGE, ())


async def test_a_complexity_signal_can_only_raise(prices: Prices) -> None:
    def signal(seen: Body) -> str | None:
        return {"deep": LARGE, "light": SMALL}.get(str(seen.get("mood")))

    router = Router(counting(new=3_000), THREE, prices=prices, complexity=signal)
    assert (await router.route(body())).model == MIDDLE
    assert (await router.route(body(mood="light"))).model == MIDDLE
    raised = await router.route(body(mood="deep"))
    assert (raised.model, raised.escalated) == (LARGE, ("complexity",))
    assert [one.verdict for one in raised.considered] == ["too_simple", "too_simple", "chosen"]
    both = await router.route(body(mood="light"), floor=LARGE)
    assert (both.model, both.escalated) == (LARGE, ("floor",))


async def test_rules_of_the_bands_are_signals(prices: Prices) -> None:
    bands = Bands(THREE.bands, rules=(Rule(MIDDLE, tools=1), Rule(LARGE, tools=2)))
    router = Router(counting(new=3), bands, prices=prices)
    tool = {"name": "a", "input_schema": {"type": "object"}}
    chosen = [(await router.route(body(tools=[tool] * n))).model for n in range(4)]
    assert chosen == [SMALL, MIDDLE, LARGE, LARGE]


async def test_dollars_count_the_answer_and_see_the_cliff(prices: Prices) -> None:
    bands = Bands((Band(SMALL, 500_000), Band(LARGE)))
    router = Router(counting(new=100_001), bands, prices=prices)
    decision = await router.route(body(), max_output=1000)
    assert decision.usd == Decimal("0.0525005")
    assert decision.considered[1].usd == Decimal("0.420004")
    text = json.loads(to_json(decision))
    assert (text["usd"], text["model"], text["status"]) == ("0.0525005", SMALL, "routed")


async def test_a_payload_that_cannot_be_counted_is_an_outcome_among_the_others(
    prices: Prices,
) -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    good = json.dumps(body()).encode()
    payloads: list[bytes | str | Mapping[str, object]] = [
        good,
        b"{not json",
        b"[]",
        b'{"messages": [], "messages": []}',
        body(messages=[{"role": "user", "content": [image]}]),
        good.decode(),
    ]
    scale = counting(old=5_000, new=6_000)
    router = Router(scale, MIXED, prices=prices)
    decisions = [decision async for decision in router.route_many(payloads)]
    assert [decision.status for decision in decisions] == [
        "routed",
        *["not_countable"] * 4,
        "routed",
    ]
    assert [decision.code for decision in decisions[1:5]] == [
        *["malformed_payload"] * 3,
        "not_countable",
    ]
    assert all(decision.message for decision in decisions[1:5])
    assert models(scale) == [OLD, MIDDLE, OLD, MIDDLE], "a second count goes first"


async def test_a_failed_count_is_an_outcome(prices: Prices) -> None:
    away = Failed(code="api_error", message="the API is away")
    first = await Router(counting(new=away), THREE, prices=prices).route(body())
    assert (first.status, first.model, first.code) == ("failed", None, "api_error")
    assert first.reason == "no count: the API is away"
    second = await Router(counting(old=2_500, new=away), MIXED, prices=prices).route(body())
    assert (second.status, second.model) == ("failed", None)


async def test_strict_passes_over_a_model_that_cannot_be_counted_with(prices: Prices) -> None:
    away = Failed(code="not_found", message="no such model")
    scale = counting(haiku=1_000, sonnet=away, opus=1_500)
    router = Router(scale, THREE, prices=prices, strict=True)
    assert (await router.route(body())).model == SMALL
    floored = await router.route(body(), floor=MIDDLE)
    assert (floored.status, floored.model) == ("routed", LARGE)
    assert "not_counted" in floored.escalated
    assert floored.considered[1].verdict == "not_counted"
    nothing = Router(
        counting(haiku=9_000, sonnet=away, opus=away), THREE, prices=prices, strict=True
    )
    assert (await nothing.route(body())).status == "failed"


async def test_wrong_names_are_refused_before_anything_is_counted(prices: Prices) -> None:
    scale = counting(new=10)
    with pytest.raises(SettingsError, match="the floor takes one of"):
        await Router(scale, THREE, prices=prices).route(body(), floor="claude-unheard-of")
    with pytest.raises(SettingsError, match="a complexity signal takes one of"):
        await Router(scale, THREE, prices=prices, complexity=lambda _: "x").route(body())
    with pytest.raises(UnknownPrice):
        Router(scale, Bands((Band("claude-unheard-of"),)), prices=prices)
    with pytest.raises(SettingsError, match="set window in its band"):
        Router(scale, THREE)
    assert scale.bodies == []


NAMES = (OLD, SMALL, MIDDLE, LARGE, "own-model")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Bands, dict[str, int], int, str | None]:
    """Draw bands of models of several tokenizers, what each counts, and what the caller wants."""
    chosen = draw(st.permutations(NAMES))[: draw(st.integers(1, 4))]
    bounds = sorted(draw(st.sets(st.integers(1, 900), min_size=len(chosen), max_size=len(chosen))))
    belows: list[int | None] = [*bounds[:-1], draw(st.sampled_from([None, bounds[-1]]))]
    bands = tuple(
        Band(model, below, window=draw(st.integers(1, 1200)))
        for model, below in zip(chosen, belows, strict=True)
    )
    reference = draw(st.sampled_from([None, *NAMES]))
    newer = draw(st.integers(1, 1000))
    tokens = dict.fromkeys(NAMES, newer) | {
        OLD: draw(st.integers(1, 1000)),
        "own-model": draw(st.integers(1, 1000)),
    }
    floor = draw(st.sampled_from([None, *chosen]))
    return Bands(bands, reference=reference), tokens, draw(st.integers(0, 300)), floor


@UNHURRIED
@given(cases())
async def test_a_route_holds_what_it_promises_and_strict_is_the_first_that_holds(
    case: tuple[Bands, dict[str, int], int, str | None],
) -> None:
    bands, tokens, max_output, floor = case

    async def decide(*, strict: bool) -> tuple[RouteDecision, Scale]:
        scale = Scale(lambda payload: tokens[payload.model])
        router = Router(scale, bands, strict=strict)
        return await router.route(body(), max_output=max_output, floor=floor), scale

    lean, scale = await decide(strict=False)
    strict, _ = await decide(strict=True)
    start = 0 if floor is None else [band.model for band in bands.bands].index(floor)

    def holds(band: Band) -> bool:
        count = tokens[band.model]
        return band.takes(count) and count + max_output <= (band.window or 0)

    first = next((band.model for band in bands.bands[start:] if holds(band)), None)
    assert strict.model == first
    assert strict.status == ("routed" if first else "nothing_fits")
    assert len(scale.bodies) <= 2
    if lean.model is not None and lean.same_tokenizer:
        [band] = [band for band in bands.bands if band.model == lean.model]
        assert holds(band)
        assert bands.bands.index(band) >= start
    if lean.model is not None and {bands.family(b.model) for b in bands.bands} <= {
        bands.family(model) for model in (m["model"] for m in scale.bodies)
    }:
        assert lean.same_tokenizer
    for one in strict.considered[start:]:
        assert one.input_tokens == tokens[one.model]


async def test_a_stream_may_be_left_early_or_broken_by_a_signal(
    redis_url: str, prices: Prices
) -> None:
    def signal(seen: Body) -> str | None:
        return "claude-unheard-of" if seen.get("max_tokens") == 177 else None

    def payloads(last: int) -> Iterator[dict[str, Any]]:
        for number in range(last + 1):
            message = {"role": "user", "content": f"number {number}"}
            yield body(messages=[message], max_tokens=number)

    async with sandbox_pool(redis_url) as (wb, _):
        router = Router(wb, THREE, prices=prices, complexity=signal)
        decisions = router.route_many(payloads(150))
        async with aclosing(decisions):
            first = [decision.max_output async for decision in until_sixth(decisions)]
        with pytest.raises(SettingsError, match="a complexity signal"):
            [decision async for decision in router.route_many(payloads(177))]
        again = [decision.max_output async for decision in router.route_many(payloads(150))]
    assert first == list(range(6))
    assert again == list(range(151))


async def until_sixth(
    decisions: AsyncGenerator[RouteDecision, None],
) -> AsyncGenerator[RouteDecision, None]:
    """Take no more than six."""
    for _ in range(6):
        yield await anext(decisions)


async def test_it_counts_through_the_pool(redis_url: str, prices: Prices) -> None:
    async with sandbox_pool(redis_url) as (wb, stand_in):
        router = Router(wb, MIXED, prices=prices)
        payloads = [body(messages=[{"role": "user", "content": "word " * n}]) for n in (5, 5000)]
        decisions = [decision async for decision in router.route_many(payloads)]
        calls = len(stand_in.ledger.attempts)
        strict = await Router(wb, MIXED, prices=prices, strict=True).route(payloads[1])
        assert len(stand_in.ledger.attempts) == calls + 1, "two of the three are cached"
    assert [decision.model for decision in decisions] == [OLD, MIDDLE]
    assert [decision.tally.api_calls for decision in decisions] == [1, 2]
    assert (decisions[0].source, decisions[0].tally.estimated) == ("estimate", True)
    assert calls == 3
    assert (strict.model, strict.input_tokens) == (MIDDLE, decisions[1].input_tokens)
