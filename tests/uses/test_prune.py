"""Pruning: what stays, what is proved, and what is refused."""

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.histories import UNHURRIED, Message, answer, faults, histories, said, text, use
from support.sandbox_pool import sandbox_pool
from support.scales import Scale

from weighbridge.errors import BrokenHistory, MalformedPayload, SettingsError, UnknownPrice
from weighbridge.records import Counted, Failed, Lane, NotCountable, Payload
from weighbridge.uses.decisions import to_json
from weighbridge.uses.prices import Prices
from weighbridge.uses.prune import Candidate, prune

pytestmark = pytest.mark.asyncio
TOOL = {"name": "look_up", "description": "Looks up.", "input_schema": {"type": "object"}}


def chat(messages: list[Message], **fields: Any) -> dict[str, Any]:
    """Make a body."""
    return {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": messages, **fields}


def long_chat(turns: int, words: int = 100) -> dict[str, Any]:
    """Make a chat with a tool in every turn."""
    messages = []
    for number in range(turns):
        messages += [
            said("user", f"question {number} " + "about this " * words),
            said("assistant", [use(f"t{number}")]),
            said("user", [answer(f"t{number}")]),
            said("assistant", f"answer {number}"),
        ]
    return chat(messages, system="Be kind.", tools=[TOOL])


def turns_times(tokens: int) -> Scale:
    """Count a fixed number of tokens for every user message that is plain text."""

    def answer_for(payload: Payload) -> int:
        asked = [m for m in json.loads(payload.body)["messages"] if isinstance(m["content"], str)]
        return tokens * [m["role"] for m in asked].count("user")

    return Scale(answer_for)


@UNHURRIED
@given(histories(), st.floats(0.05, 1.0), st.floats(0.3, 1.0), st.booleans(), st.integers(1, 3))
async def test_every_history_that_is_counted_is_valid_and_both_searches_agree(
    messages: list[Message], share: float, target: float, keep_first: bool, keep_last: int
) -> None:
    body = chat(messages, tools=[TOOL], system=[text("Be kind.")])
    before = copy.deepcopy(body)
    scale = Scale()
    whole = await prune(scale, body, max_input_tokens=10**9)
    assert whole.chosen is not None
    assert whole.chosen.input_tokens is not None
    limit = max(1, int(whole.chosen.input_tokens * share))
    options: dict[str, Any] = {
        "max_input_tokens": limit,
        "target": target,
        "keep_first_turn": keep_first,
        "keep_last_turns": keep_last,
    }
    result = await prune(scale, body, **options)
    oracle = await prune(scale, body, strategy="linear", **options)
    assert result.status in ("fits", "over"), "the stand-in takes every history that is counted"
    assert (result.status, result.chosen) == (oracle.status, oracle.chosen)
    assert result.payload == oracle.payload
    assert body == before
    for counted in scale.bodies:
        assert faults(counted["messages"]) == []
        assert {k: v for k, v in counted.items() if k != "messages"} == {
            k: v for k, v in body.items() if k not in ("messages", "max_tokens")
        }
    if result.payload is not None:
        kept = result.payload["messages"]
        assert {**result.payload, "messages": 0} == {**body, "messages": 0}
        assert kept[-1] == messages[-1]
        assert len(kept) == len(messages) - result.dropped_messages
        assert result.chosen is not None
        assert result.chosen.input_tokens is not None
        assert result.chosen.input_tokens <= limit
    if result.fits and result.dropped_turns:
        assert result.longer is not None
        assert result.longer.input_tokens is not None
        assert result.longer.input_tokens > result.target
        assert result.maximal


async def test_the_newest_turns_stay_and_the_proof_stands_beside_them() -> None:
    scale = turns_times(100)
    body = long_chat(10)
    result = await prune(scale, body, max_input_tokens=450)
    assert (result.status, result.fits, result.maximal) == ("fits", True, True)
    assert (result.turns, result.dropped_turns, result.dropped_messages) == (10, 6, 24)
    assert result.chosen == Candidate(6, 24, 400, None)
    assert result.longer == Candidate(5, 20, 500, None)
    assert result.whole == Candidate(0, 0, 1000, None)
    assert result.payload == {**body, "messages": body["messages"][24:]}
    assert result.tally.counts_used == len(scale.bodies) <= 4
    assert (result.source, result.tally.estimated) == ("estimate", True)
    assert scale.lanes == {Lane.INTERACTIVE}


async def test_what_fits_is_one_count_and_is_not_touched() -> None:
    scale, body = turns_times(100), long_chat(10)
    result = await prune(scale, body, max_input_tokens=1000)
    assert (result.fits, result.maximal, result.payload) == (True, True, body)
    assert (result.dropped_turns, result.longer, result.tally.counts_used) == (0, None, 1)


async def test_once_pruning_is_due_it_goes_down_to_the_target() -> None:
    scale, body = turns_times(100), long_chat(10)
    assert (await prune(scale, body, max_input_tokens=1000, target=0.5)).dropped_turns == 0
    result = await prune(scale, body, max_input_tokens=999, target=0.5)
    assert (result.limit, result.target, result.dropped_turns) == (999, 499, 6)
    assert (result.chosen, result.longer) == (
        Candidate(6, 24, 400, None),
        Candidate(5, 20, 500, None),
    )


async def test_a_target_is_the_share_that_was_written() -> None:
    result = await prune(turns_times(100), long_chat(3), max_input_tokens=100, target=0.29)
    assert result.target == 29


async def test_a_target_out_of_reach_leaves_the_shortest_history_that_fits() -> None:
    result = await prune(turns_times(100), long_chat(3), max_input_tokens=250, target=0.1)
    assert (result.fits, result.dropped_turns) == (True, 2)
    assert result.longer == Candidate(1, 4, 200, None), "within the limit, over the target"
    assert result.maximal


async def test_the_conversations_last_cut_is_the_first_guess() -> None:
    scale = turns_times(100)
    first = await prune(scale, long_chat(20), max_input_tokens=1000, target=0.8)
    assert first.dropped_turns == 12
    scale.bodies.clear()
    again = await prune(scale, long_chat(21), max_input_tokens=1000, target=0.8, previous=first)
    assert again.dropped_turns == 12, "the cut stays while it is within the limit"
    assert again.tally.counts_used == 2
    assert again.whole is None
    cuts = []
    for turns in range(22, 27):
        again = await prune(
            scale, long_chat(turns), max_input_tokens=1000, target=0.8, previous=again
        )
        assert again.maximal
        cuts.append(again.dropped_turns)
    assert cuts == [12, 15, 15, 15, 18]


async def test_a_single_giant_turn_does_not_fit_and_says_by_how_much() -> None:
    body = chat([said("user", "word " * 5000)])
    result = await prune(Scale(), body, max_input_tokens=100)
    assert (result.status, result.fits, result.payload) == ("over", False, None)
    assert result.chosen == result.whole
    assert result.chosen is not None
    assert (result.chosen.input_tokens or 0) > 5000
    assert (result.limit, result.tally.counts_used, result.maximal) == (100, 1, False)


async def test_what_must_stay_may_be_too_much() -> None:
    scale, body = turns_times(100), long_chat(6)
    result = await prune(scale, body, max_input_tokens=250, keep_last_turns=3)
    assert (result.status, result.dropped_turns) == ("over", 0)
    assert result.whole == Candidate(0, 0, 600, None)
    assert result.chosen == Candidate(3, 12, 300, None)


async def test_the_first_turn_can_stay() -> None:
    scale, body = turns_times(100), long_chat(10)
    result = await prune(scale, body, max_input_tokens=350, keep_first_turn=True)
    assert result.payload is not None
    assert result.payload["messages"] == body["messages"][:4] + body["messages"][-8:]
    single = await prune(scale, long_chat(1), max_input_tokens=50, keep_first_turn=True)
    assert single.status == "over"


async def test_room_for_the_answer_is_kept() -> None:
    result = await prune(turns_times(100), long_chat(10), max_input_tokens=1000, reserve_output=550)
    assert (result.limit, result.dropped_turns) == (450, 6)


async def test_a_budget_in_dollars_sees_the_cliff() -> None:
    prices = Prices.load()
    body = long_chat(10) | {"model": "claude-haiku-5-5"}
    # 100,000 tokens cost 1 cent, one more costs 5.
    result = await prune(
        turns_times(20_000), body, max_usd=Decimal("0.02"), prices=prices, target=1
    )
    assert (result.limit, result.dropped_turns) == (100_000, 5)
    assert result.chosen == Candidate(5, 20, 100_000, Decimal("0.01"))
    assert result.longer == Candidate(4, 16, 120_000, Decimal("0.06"))
    assert result.price_version == prices.version
    both = await prune(
        turns_times(20_000), body, max_usd=Decimal("0.02"), max_input_tokens=70_000, prices=prices
    )
    assert (both.limit, both.dropped_turns) == (70_000, 7)


async def test_dollars_that_buy_nothing_are_said_to_be_too_few() -> None:
    result = await prune(turns_times(10), long_chat(2), max_usd=Decimal(0), prices=Prices.load())
    assert (result.status, result.limit) == ("over", 0)


async def test_the_result_is_json() -> None:
    result = await prune(turns_times(100), long_chat(3), max_input_tokens=100)
    read = json.loads(to_json(result))
    assert read["payload"]["messages"] == long_chat(3)["messages"][8:]
    assert (read["fits"], read["chosen"]["input_tokens"]) == (True, 100)
    assert read["tally"]["counts_used"] == result.tally.counts_used


async def test_json_text_is_a_payload_too() -> None:
    body = long_chat(3, words=40_000)
    body["messages"][-1]["content"] = "é漢"
    for raw in (json.dumps(body), json.dumps(body, ensure_ascii=False, indent=1).encode()):
        result = await prune(turns_times(100), raw, max_input_tokens=100)
        assert result.payload == {**body, "messages": body["messages"][8:]}


async def test_instructions_that_go_with_their_turns_are_told() -> None:
    messages = [said("user", "a"), said("system", "Be brief."), said("assistant", "b")]
    result = await prune(
        turns_times(100), chat([*messages, said("user", "c")]), max_input_tokens=100
    )
    assert (result.dropped_turns, result.dropped_instructions) == (1, 1)


async def test_nothing_goes_from_where_the_tools_change() -> None:
    change = said("system", [{"type": "tool_addition", "tool": {"name": "look_up"}}])
    body = long_chat(6)
    body["messages"].insert(9, change)  # after the third turn's question
    result = await prune(turns_times(100), body, max_input_tokens=400)
    assert (result.dropped_turns, result.fits) == (2, True)
    assert (await prune(turns_times(100), body, max_input_tokens=399)).status == "over"


async def test_context_management_is_refused_or_taken_out() -> None:
    body = long_chat(3) | {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}
    scale = turns_times(100)
    with pytest.raises(SettingsError, match="context_management clears contexts by itself"):
        await prune(scale, body, max_input_tokens=100)
    assert scale.bodies == []
    result = await prune(scale, body, max_input_tokens=100, strip_context_management=True)
    assert result.payload is not None
    assert "context_management" not in result.payload
    assert all("context_management" not in counted for counted in scale.bodies)
    assert "context_management" in body


async def test_a_body_that_is_too_large_for_the_api_is_pruned_until_it_takes_it() -> None:
    body = long_chat(8)

    def answer_for(payload: Payload) -> int | NotCountable:
        turns = len(json.loads(payload.body)["messages"]) // 4
        if turns > 5:
            return NotCountable(code="payload_too_large", message="too many bytes")
        return turns * 100

    result = await prune(Scale(answer_for), body, max_input_tokens=1000)
    assert (result.status, result.dropped_turns) == ("fits", 3)
    assert result.longer == Candidate(2, 8, None, None)
    assert result.maximal


async def test_a_count_that_fails_is_an_outcome() -> None:
    failed = Failed(code="api_error", message="the API is away")
    result = await prune(Scale(lambda _: failed), long_chat(3), max_input_tokens=100)
    assert (result.status, result.code, result.message) == (
        "failed",
        "api_error",
        "the API is away",
    )
    assert (result.fits, result.payload, result.chosen) == (False, None, None)


async def test_what_cannot_be_counted_is_an_outcome_and_costs_no_count() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    scale = Scale()
    result = await prune(scale, chat([said("user", [image])]), max_input_tokens=100)
    assert (result.status, result.code, result.source) == ("not_countable", "not_countable", None)
    assert "send the image as base64" in (result.message or "")
    assert scale.bodies == []


@pytest.mark.parametrize(
    ("options", "said_of_it"),
    [
        ({}, "give a budget"),
        ({"max_input_tokens": 100, "target": 0}, "target takes a share"),
        ({"max_input_tokens": 100, "target": 1.01}, "target takes a share"),
        ({"max_input_tokens": 100, "keep_last_turns": 0}, "keep_last_turns takes"),
        ({"max_input_tokens": 100, "reserve_output": 100}, "leaves no input"),
        ({"max_input_tokens": 100, "reserve_output": -1}, "reserve_output takes"),
        ({"max_usd": Decimal(1)}, "pass prices"),
    ],
)
async def test_options_that_make_no_sense_are_refused_before_anything_is_counted(
    options: dict[str, Any], said_of_it: str
) -> None:
    scale = Scale()
    with pytest.raises(SettingsError, match=said_of_it):
        await prune(scale, long_chat(2), **options)
    assert scale.bodies == []


async def test_bad_input_is_refused_before_anything_is_counted() -> None:
    scale = Scale()
    with pytest.raises(BrokenHistory, match=r"messages\[0\]"):
        await prune(scale, chat([said("user", [answer("t")])]), max_input_tokens=100)
    with pytest.raises(MalformedPayload):
        await prune(scale, b"{not json", max_input_tokens=100)
    with pytest.raises(UnknownPrice):
        await prune(
            scale,
            long_chat(2) | {"model": "claude-unheard-of"},
            max_usd=Decimal(1),
            prices=Prices.load(),
        )
    assert scale.bodies == []


async def test_it_counts_through_the_pool(redis_url: str) -> None:
    body = long_chat(30)
    async with sandbox_pool(redis_url) as (wb, stand_in):
        result = await prune(wb, body, max_input_tokens=2000, target=0.8)
        calls = len(stand_in.ledger.attempts)
        again = await prune(wb, body, max_input_tokens=2000, target=0.8)
        counted = await wb.count(result.payload or {})
    assert result.fits
    assert result.maximal
    assert result.tally.api_calls == calls == result.tally.counts_used <= 7
    assert (again.chosen, again.payload) == (result.chosen, result.payload)
    assert (again.tally.api_calls, again.tally.cache_hits) == (0, calls)
    assert isinstance(counted, Counted)
    assert result.chosen is not None
    assert counted.input_tokens == result.chosen.input_tokens
    assert counted.input_tokens <= 1600
