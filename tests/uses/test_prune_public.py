"""The search on the 500 generated payloads: the same answers as one at a time, in few calls."""

import json
import statistics
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
from support.commands import public_payloads
from support.histories import faults
from support.scales import Scale

from weighbridge.payload import check_payload
from weighbridge.uses.cuts import Task, search
from weighbridge.uses.history import History
from weighbridge.uses.prune import prune
from weighbridge_worker.sandbox.weighing import weigh

SHARES = (0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.95)
"""Budgets, as shares of the whole history's tokens."""

TOKENS = (1_000, 2_000, 8_000, 16_000)
"""Budgets, as a caller would set them."""


@dataclass(frozen=True)
class Conversation:
    """A history with every candidate that a search could ask for, weighed once."""

    body: dict[str, Any]
    task: Task
    tokens: tuple[int, ...]


@pytest.fixture(scope="module")
def conversations() -> list[Conversation]:
    """Weigh every cut of every different history of two turns and more; each must be valid.

    A third of them also with a first turn that stays.
    """
    different = {check_payload(line).body for line in public_payloads()}
    return [
        conversation
        for number, body in enumerate(sorted(different))
        for keep_first in ((False, True) if number % 3 == 0 else (False,))
        if (conversation := _conversation(json.loads(body), keep_first)) is not None
    ]


def _conversation(body: dict[str, Any], keep_first: bool) -> Conversation | None:
    history = History(body, keep_last=1, keep_first=keep_first)
    task = Task(0, 0, history.weights, history.fixed_weight)
    if task.last < 1:
        return None
    return Conversation(body, task, tuple(_weighed(history, cut) for cut in range(task.last + 1)))


def _weighed(history: History, cut: int) -> int:
    text = history.pruned_text(cut)
    pruned = json.loads(text)
    verdict = weigh(text).verdict
    assert isinstance(verdict, int), "the stand-in takes every candidate"
    assert faults(pruned["messages"]) == []
    assert {**pruned, "messages": 0} == {**history.body, "messages": 0}
    assert pruned["messages"][-1] == history.body["messages"][-1]
    return verdict


def solve(task: Task, tokens: tuple[int, ...], strategy: Any) -> tuple[int, int]:
    """Run a search; returns its answer and the calls it took."""
    steps, weighed = search(task, strategy), set()
    try:
        cut = next(steps)
        while True:
            weighed.add(cut)
            cut = steps.send(tokens[cut])
    except StopIteration as done:
        return int(done.value), len(weighed)


def test_the_same_answer_as_one_at_a_time_at_every_budget_in_few_calls(
    conversations: list[Conversation],
) -> None:
    calls: list[int] = []
    plain: list[int] = []
    for conversation, target in product(conversations, (1.0, 0.8)):
        limits = [int(conversation.tokens[0] * share) for share in SHARES]
        limits += [limit for limit in TOKENS if limit < conversation.tokens[0]]
        for limit in limits:
            task = replace(conversation.task, limit=limit, target=int(limit * target))
            answer, taken = solve(task, conversation.tokens, "bracket")
            oracle, slow = solve(task, conversation.tokens, "linear")
            assert answer == oracle
            calls.append(taken)
            plain.append(slow)
    print(f"\n{len(conversations)} conversations, {len(calls)} prunings, all over their budget:")
    print(f"bracket mean {statistics.mean(calls):.2f}, max {max(calls)}")
    print(f"one at a time mean {statistics.mean(plain):.2f}, max {max(plain)}")
    assert len(calls) > 3_000
    assert statistics.mean(calls) <= 3.5
    assert max(calls) <= 7


def test_a_conversation_that_grows_takes_about_two_calls_a_turn(
    conversations: list[Conversation],
) -> None:
    """Replayed turn by turn: the previous cut against the rule, and the calls it saves."""
    calls = []
    for conversation in conversations:
        total = conversation.tokens[0]
        limit, previous = total // 3, 0
        for turns in range(2, len(conversation.tokens) + 1):
            # What a shorter past counts: the whole less what came later, which is the tail's.
            later = conversation.tokens[turns] if turns < len(conversation.tokens) else 0
            tokens = tuple(count - later for count in conversation.tokens[:turns])
            weights = conversation.task.weights[:turns]
            task = Task(limit, int(limit * 0.8), weights, conversation.task.fixed, previous)
            answer, taken = solve(task, tokens, "bracket")
            assert answer == solve(task, tokens, "linear")[0]
            if previous:
                calls.append(taken)
            previous = answer
    print(f"\n{len(calls)} turns of growing conversations: mean {statistics.mean(calls):.2f} calls")
    assert len(calls) > 500
    assert statistics.mean(calls) <= 3.0


@pytest.mark.asyncio
async def test_the_whole_pruner_on_a_sample(conversations: list[Conversation]) -> None:
    sample = conversations[::15]
    assert len(sample) >= 15
    for conversation in sample:
        scale = Scale()
        limit = conversation.tokens[0] * 2 // 5
        result = await prune(scale, conversation.body, max_input_tokens=limit)
        oracle = await prune(scale, conversation.body, max_input_tokens=limit, strategy="linear")
        assert (result.status, result.chosen, result.payload) == (
            oracle.status,
            oracle.chosen,
            oracle.payload,
        )
        assert all(faults(body["messages"]) == [] for body in scale.bodies)
