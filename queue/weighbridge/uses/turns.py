"""A history as whole turns: what may be cut off a conversation so that the rest stays valid.

A turn starts at a plain user message and goes on to the next one, so what a tool was asked and
what it answered stay together, and every history that starts with a turn starts as the API wants
it. A user message with a tool's result starts none, whatever else it says, nor does any message
that the API joins with it: it joins neighbours of one role
(https://platform.claude.com/docs/en/api/messages).
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from weighbridge.errors import BrokenHistory

Message = Mapping[str, Any]

ROLES = ("user", "assistant", "system")

PICTURE_WEIGHT = 6_000
"""Bytes of text that weigh about as much as a picture, however many bytes it has itself."""

PAGE_WEIGHT = 8_000
"""The same for a page of a PDF: an image and 1,500 to 3,000 tokens of text
(https://platform.claude.com/docs/en/build-with-claude/pdf-support)."""

LONGEST_PAGE = 50_000
"""Bytes for a page of a PDF that hides its pages in packed streams."""

UNWEIGHED = frozenset({"signature", "cache_control"})
"""Fields that bring no tokens of their own."""


_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")


@dataclass(frozen=True, slots=True)
class Turn:
    """The messages from ``start`` up to, not including, ``stop``.

    Args:
        weight: about how much of the tokens it brings, in bytes of text.
        instructions: system messages among its messages.
        stays: one of them changes the tools, and what comes after may use them.
    """

    start: int
    stop: int
    weight: int
    instructions: int
    stays: bool = False


@dataclass(slots=True)
class _Run:
    """Neighbouring messages of one role; a system message stands between them and ends no run."""

    role: str
    places: list[int] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


def split_turns(messages: Sequence[Message]) -> tuple[Turn, ...]:
    """Split a history into its turns, oldest first; together they are the whole history.

    Raises:
        BrokenHistory: the API would refuse it: it does not start with a plain user message, or
            what tools were asked and answered does not match.
    """
    runs = _runs(messages)
    _check_start(runs)
    _check_pairs(runs)
    starts = [at for run in runs if run.role == "user" and not run.answers for at in run.places]
    stops = [*starts[1:], len(messages)]
    return tuple(_turn(messages, start, stop) for start, stop in zip(starts, stops, strict=True))


def weight(value: object) -> int:
    """Weigh a part of a body: about how much of the tokens it brings, in bytes of text."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping):
        if value.get("type") == "base64":
            return _media_weight(value)
        return sum(len(name) + weight(part) for name, part in _weighed(value))
    if isinstance(value, list | tuple):
        return sum(map(weight, value))
    return 2


def _weighed(value: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    return ((name, part) for name, part in value.items() if name not in UNWEIGHED)


def _media_weight(source: Mapping[str, object]) -> int:
    data = str(source.get("data"))
    if str(source.get("media_type")).startswith("image/"):
        return min(len(data), PICTURE_WEIGHT)
    try:
        pages = len(_PAGE.findall(base64.b64decode(data)))
    except ValueError:  # the API will say so, and nothing here depends on it
        return len(data)
    return max(pages, 1 + len(data) // LONGEST_PAGE) * PAGE_WEIGHT


def _turn(messages: Sequence[Message], start: int, stop: int) -> Turn:
    own = messages[start:stop]
    instructions = [message for message in own if message["role"] == "system"]
    stays = any(map(_changes_tools, instructions))
    return Turn(start, stop, sum(map(weight, own)), len(instructions), stays)


def _changes_tools(instruction: Message) -> bool:
    """Tell whether a system message holds anything but words; its options are for its turn alone.

    https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
    """
    content = instruction.get("content")
    blocks = content if isinstance(content, list | tuple) else ()
    return any(block.get("type") != "text" for block in blocks if isinstance(block, Mapping))


def _runs(messages: Sequence[Message]) -> list[_Run]:
    runs: list[_Run] = []
    for at, message in enumerate(messages):
        role = message["role"]
        if role not in ROLES:
            _refuse(at, 'has an unknown role: say "user" or "assistant"')
        if role == "system":
            if not runs:
                _refuse(at, "comes before any user message: say it in system instead")
            continue
        if not runs or runs[-1].role != role:
            runs.append(_Run(role))
        _add(runs[-1], at, message)
    return runs


def _add(run: _Run, at: int, message: Message) -> None:
    asks, answers = _ids(message, "tool_use", "id"), _ids(message, "tool_result", "tool_use_id")
    if asks and run.role == "user":
        _refuse(at, "is the user's and holds a tool_use: only an assistant message may")
    if answers and run.role == "assistant":
        _refuse(at, "is the assistant's and holds a tool_result: only a user message may")
    run.places.append(at)
    run.asks += asks
    run.answers += answers


def _ids(message: Message, kind: str, name: str) -> list[str]:
    content = message.get("content")
    if not isinstance(content, list | tuple):
        return []
    blocks = (block for block in content if isinstance(block, Mapping))
    return [str(block.get(name)) for block in blocks if block.get("type") == kind]


def _check_start(runs: Sequence[_Run]) -> None:
    if runs[0].role != "user":
        _refuse(0, "is the assistant's: a history starts with a user message")
    if runs[0].answers:
        _refuse(0, "starts the history with a tool_result: its tool_use is missing, bring it back")


def _check_pairs(runs: Sequence[_Run]) -> None:
    """Check that each run answers what the one before it asked; the last may stay unanswered."""
    asked: list[str] = []
    for run in runs:
        if set(run.answers) - set(asked):
            _refuse(run.places[0], "has a tool_result whose tool_use is not in the message before")
        if len(set(run.answers)) < len(run.answers):
            _refuse(run.places[0], "answers one tool_use twice: keep one tool_result")
        if set(asked) - set(run.answers):
            _refuse(run.places[0], "lacks the tool_result of a tool_use in the message before")
        if len(set(run.asks)) < len(run.asks):
            _refuse(run.places[0], "has two tool_use blocks of one id: ids must be unique")
        asked = run.asks


def _refuse(at: int, fault: str) -> NoReturn:
    raise BrokenHistory(f"messages[{at}] {fault}")
