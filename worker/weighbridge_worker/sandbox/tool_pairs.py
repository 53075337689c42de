"""Every tool use must be answered in the next message, and every answer must have its question."""

from collections.abc import Mapping, Sequence
from typing import Any

from weighbridge_worker.sandbox.api_errors import invalid

Message = Mapping[str, Any]


def check_tool_pairs(messages: Sequence[Message]) -> None:
    """Refuse a history in which ``tool_use`` and ``tool_result`` do not match.

    Consecutive messages of one role are one turn; a tool use in the last turn may be open.

    Raises:
        ApiError: 400, as the API words it.
    """
    asked: list[str] = []
    turns = _turns(messages)
    for place, turn in turns:
        answered = _ids(turn, "tool_result", "tool_use_id")
        if unknown := [name for name in answered if name not in asked]:
            raise invalid(
                f"messages.{place}: unexpected `tool_use_id` found in `tool_result` blocks:"
                f" {', '.join(unknown)}. Each `tool_result` block must have a corresponding"
                " `tool_use` block in the previous message."
            )
        if missing := [name for name in asked if name not in answered]:
            raise invalid(
                f"messages.{place - 1}: `tool_use` ids were found without `tool_result` blocks"
                f" immediately after: {', '.join(missing)}. Each `tool_use` block must have a"
                " corresponding `tool_result` block in the next message."
            )
        asked = _ids(turn, "tool_use", "id")


def _turns(messages: Sequence[Message]) -> list[tuple[int, list[Message]]]:
    turns: list[tuple[int, list[Message]]] = []
    for index, message in enumerate(messages):
        if message["role"] == "system":  # stands between turns, and is none
            continue
        if turns and turns[-1][1][0]["role"] == message["role"]:
            turns[-1][1].append(message)
        else:
            turns.append((index, [message]))
    return turns


def _ids(turn: Sequence[Message], kind: str, field: str) -> list[str]:
    return [
        str(block[field])
        for message in turn
        if not isinstance(message["content"], str)
        for block in message["content"]
        if block["type"] == kind
    ]
