"""Histories for tests, and a judge of their validity that shares nothing with the code judged."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Message = dict[str, Any]

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: a machine that stalls is no failure."""


def faults(messages: list[Message]) -> list[str]:
    """List why the API would refuse a history; empty if it would not.

    It reads message by message, forwards: what is open must be answered by the very next message
    of the user, and by nothing else.
    """
    if not messages or messages[0]["role"] != "user":
        return ["does not start with a user message"]
    found, open_ids, asked_by_user = [], set[str](), False
    for at, message in enumerate(messages):
        if message["role"] == "system":
            continue
        blocks = message["content"] if isinstance(message["content"], list) else []
        results = {b["tool_use_id"] for b in blocks if b["type"] == "tool_result"}
        uses = {b["id"] for b in blocks if b["type"] == "tool_use"}
        if message["role"] == "user":
            asked_by_user = True
            if results - open_ids:
                found.append(f"{at}: a tool_result without its tool_use")
            open_ids -= results
        else:
            if open_ids:
                found.append(f"{at}: a tool_use was not answered")
            if not asked_by_user:
                found.append(f"{at}: nobody asked")
            open_ids = uses
    if open_ids and messages[-1]["role"] == "user":
        found.append("a tool_use was not answered")
    return found


def said(role: str, content: object) -> Message:
    """Make a message."""
    return {"role": role, "content": content}


def text(words: str) -> Message:
    """Make a text block."""
    return {"type": "text", "text": words}


def use(name: str) -> Message:
    """Make a tool use whose id is this name."""
    return {"type": "tool_use", "id": name, "name": "look_up", "input": {"what": name}}


def answer(name: str, words: str = "found") -> Message:
    """Make the result of that tool use."""
    return {"type": "tool_result", "tool_use_id": name, "content": words}


words = st.text("abc é漢\n", min_size=1, max_size=60).map(lambda drawn: "w" + drawn)


@st.composite
def exchanges(draw: st.DrawFn, number: int) -> list[Message]:
    """Draw a turn: a question, tools asked in parallel and in sequence, an answer or none."""
    messages = [said("user", draw(words | st.lists(words.map(text), min_size=1, max_size=2)))]
    for step in range(draw(st.integers(0, 3))):
        names = [f"t{number}_{step}_{at}" for at in range(draw(st.integers(1, 4)))]
        messages.append(said("assistant", [text(draw(words)), *map(use, names)]))
        results = [answer(name, draw(words)) for name in draw(st.permutations(names))]
        mixed = [text(draw(words))] if draw(st.booleans()) else []
        messages.append(said("user", [*results, *mixed]))
        if draw(st.integers(0, 5)) == 0:
            messages.append(said("user", draw(words)))
    if draw(st.integers(0, 4)):
        messages.append(said("assistant", draw(words)))
    if draw(st.integers(0, 6)) == 0:
        messages.insert(1, said("system", "From now on, answer briefly."))
    return messages


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    """Draw a history that the API takes, of one turn or of many."""
    count = draw(st.integers(1, 12))
    return [message for number in range(count) for message in draw(exchanges(number))]
