"""Histories as whole turns: where a cut may be, and what is refused."""

import base64
from itertools import groupby

import pytest
from hypothesis import given
from support.histories import UNHURRIED, Message, answer, faults, histories, said, text, use

from weighbridge.errors import BrokenHistory, PayloadError
from weighbridge.uses.turns import split_turns, weight

ASK = said("user", "Where is it?")
TOLD = said("assistant", "Here.")
IMAGE = {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}


def starts(messages: list[Message]) -> list[int]:
    """Say where turns start."""
    return [turn.start for turn in split_turns(messages)]


@UNHURRIED
@given(histories())
def test_turns_are_the_whole_history_and_every_rest_of_them_is_valid(
    messages: list[Message],
) -> None:
    turns = split_turns(messages)
    assert (turns[0].start, turns[-1].stop) == (0, len(messages))
    assert [turn.stop for turn in turns[:-1]] == [turn.start for turn in turns[1:]]
    for first in turns:
        assert faults(messages[first.start :]) == []
        assert faults(messages[turns[0].start : turns[0].stop] + messages[first.start :]) == []


@UNHURRIED
@given(histories())
def test_every_user_message_starts_a_turn_unless_a_tool_result_stands_beside_it(
    messages: list[Message],
) -> None:
    spoken = [(at, m) for at, m in enumerate(messages) if m["role"] != "system"]
    expected = []
    for role, run in groupby(spoken, key=lambda pair: pair[1]["role"]):
        own = list(run)
        if role == "user" and not any("tool_result" in str(m["content"]) for _, m in own):
            expected += [at for at, _ in own]
    assert starts(messages) == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([ASK], [0]),
        ([ASK, TOLD, ASK, TOLD, ASK], [0, 2, 4]),
        ([ASK, ASK, TOLD], [0, 1]),
        (
            [
                ASK,
                said("assistant", [use("a"), use("b")]),
                said("user", [answer("b"), answer("a")]),
            ],
            [0],
        ),
        # A result with a remark beside it answers and asks at once: no place for a cut.
        (
            [ASK, said("assistant", [use("a")]), said("user", [answer("a"), text("And?")]), TOLD],
            [0],
        ),
        # The API joins neighbours of one role, so this is the same remark.
        ([ASK, said("assistant", [use("a")]), said("user", [answer("a")]), ASK, TOLD, ASK], [0, 5]),
        ([ASK, said("system", "Be brief."), TOLD, ASK], [0, 3]),
        ([ASK, TOLD, ASK, said("assistant", [use("a")])], [0, 2]),
    ],
)
def test_a_turn_starts_at_a_plain_user_message(
    messages: list[Message], expected: list[int]
) -> None:
    assert faults(messages) == []
    assert starts(messages) == expected


@pytest.mark.parametrize(
    ("messages", "said_of_it"),
    [
        ([TOLD, ASK], r"messages\[0\] is the assistant's"),
        ([said("system", "Be brief."), ASK], r"messages\[0\] comes before any user message"),
        ([said("user", [answer("a")]), TOLD], r"messages\[0\] starts the history with a tool_res"),
        (
            [ASK, TOLD, said("user", [answer("a")])],
            r"messages\[2\] has a tool_result whose tool_use",
        ),
        ([ASK, said("assistant", [use("a")]), ASK], r"messages\[2\] lacks the tool_result"),
        (
            [ASK, said("assistant", [use("a"), use("b")]), said("user", [answer("a")]), TOLD],
            r"messages\[2\] lacks the tool_result",
        ),
        (
            [ASK, said("assistant", [use("a")]), said("user", [answer("a"), answer("a")])],
            r"messages\[2\] answers one tool_use twice",
        ),
        (
            [ASK, said("assistant", [use("a"), use("a")]), said("user", [answer("a")])],
            r"messages\[1\] has two tool_use blocks of one id",
        ),
        ([said("user", [use("a")])], r"messages\[0\] is the user's and holds a tool_use"),
        ([ASK, said("assistant", [answer("a")])], r"messages\[1\] is the assistant's and holds"),
        ([ASK, said("tool", "found")], r"messages\[1\] has an unknown role"),
    ],
)
def test_a_broken_history_is_refused_with_its_place(
    messages: list[Message], said_of_it: str
) -> None:
    with pytest.raises(BrokenHistory, match=said_of_it) as refused:
        split_turns(messages)
    assert isinstance(refused.value, PayloadError)
    assert refused.value.code == "broken_history"


def test_instructions_in_a_turn_are_told() -> None:
    [first, second] = split_turns([ASK, said("system", "Be brief."), TOLD, ASK])
    assert (first.instructions, second.instructions) == (1, 0)


def test_media_weigh_what_they_are_and_not_their_bytes() -> None:
    pdf = base64.b64encode(b"%PDF- /Type /Pages /Type /Page /Type/Page ").decode()
    document = {"type": "base64", "media_type": "application/pdf", "data": pdf}
    assert weight(IMAGE) == 6_000
    assert weight(document) == 16_000
    assert weight(document | {"data": "A" * 400_000}) == 72_000
    assert weight(document | {"data": "cut_off"}) == 7


def test_what_brings_no_tokens_has_no_weight() -> None:
    block = {"type": "thinking", "thinking": "Hm"}
    assert weight(block | {"signature": "x" * 999}) == weight(block)
    assert weight({"text": "漢字", "n": 1, "no": None}) == len("text") + 6 + 1 + 2 + 2 + 2


@pytest.mark.parametrize(
    ("message", "stays"),
    [
        (said("system", "Be brief."), False),
        (said("system", [text("Be brief.")]), False),
        (said("system", [text("New:"), {"type": "tool_addition", "tool": {}}]), True),
        ({"role": "system", "output_config": {"effort": "low"}}, False),
    ],
)
def test_a_turn_that_changes_the_tools_stays(message: Message, stays: bool) -> None:
    first, second = split_turns([ASK, message, TOLD, ASK])
    assert (first.stays, second.stays) == (stays, False)
